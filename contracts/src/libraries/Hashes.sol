// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {TermsPtr} from "../types/TermsPtr.sol";

/// @title Hashes: the EIP-712 types of the market
library Hashes {
    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    bytes32 internal constant TERMS_TYPEHASH = keccak256(
        "Terms(address client,uint256 salt,bytes32 spec,uint16 specCodec,uint256 minPrice,uint256 maxPrice,"
        "uint64 rampStart,uint64 rampPeriod,uint64 lockBy,uint32 runFor,uint32 reviewFor,uint32 ruleFor,"
        "uint256 collateral,address matcher,address arbiter,uint32 callbackGas)"
    );

    bytes32 internal constant RESULT_TYPEHASH =
        keccak256("Result(bytes32 output,uint32 exitCode,uint64 fuelUsed,bytes inlineData)");

    bytes32 internal constant RECEIPT_TYPEHASH = keccak256(
        "Receipt(address provider,uint256 price,Result result)"
        "Result(bytes32 output,uint32 exitCode,uint64 fuelUsed,bytes inlineData)"
    );

    bytes32 internal constant ACCEPTANCE_TYPEHASH = keccak256(
        "Acceptance(bytes32 jobId,Receipt receipt)Receipt(address provider,uint256 price,Result result)"
        "Result(bytes32 output,uint32 exitCode,uint64 fuelUsed,bytes inlineData)"
    );

    function domainSeparator() internal view returns (bytes32) {
        return
            keccak256(
                abi.encode(DOMAIN_TYPEHASH, keccak256("LotaMarket"), keccak256("1"), block.chainid, address(this))
            );
    }

    /// @dev The digest that is signed for a struct hash.
    function typed(bytes32 domain, bytes32 structHash) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(0x00, hex"1901")
            mstore(0x02, domain)
            mstore(0x22, structHash)
            digest := keccak256(0x00, 0x42)
            mstore(0x40, free) // the struct hash reached two bytes into it
        }
    }

    /// @dev Struct hash of terms, keccak256(abi.encode(TERMS_TYPEHASH, terms)), and the terms themselves.
    function loadTerms(ILotaMarket.Terms calldata given) internal pure returns (bytes32 hash, TermsPtr terms) {
        bytes32 typehash = TERMS_TYPEHASH;
        assembly ("memory-safe") {
            let free := mload(0x40)
            terms := add(free, 0x20)
            mstore(0x40, add(free, 0x220)) // 17 words
            mstore(free, typehash)
            calldatacopy(terms, given, 0x200)
            hash := keccak256(free, 0x220)
        }
    }

    /// @dev Struct hash of a receipt: keccak256(abi.encode(RECEIPT_TYPEHASH, provider, price, keccak256(
    /// abi.encode(RESULT_TYPEHASH, output, exitCode, fuelUsed, keccak256(inlineData))))), in memory that is not kept.
    function ofReceipt(
        address provider,
        uint256 price,
        bytes32 output,
        uint256 exitCode,
        uint256 fuelUsed,
        bytes calldata inlineData
    ) internal pure returns (bytes32 hash) {
        bytes32 receiptType = RECEIPT_TYPEHASH;
        bytes32 resultType = RESULT_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            calldatacopy(words, inlineData.offset, inlineData.length)
            mstore(add(words, 0x80), keccak256(words, inlineData.length))
            mstore(words, resultType)
            mstore(add(words, 0x20), output)
            mstore(add(words, 0x40), exitCode)
            mstore(add(words, 0x60), fuelUsed)
            mstore(add(words, 0x60), keccak256(words, 0xa0))
            mstore(words, receiptType)
            mstore(add(words, 0x20), provider)
            mstore(add(words, 0x40), price)
            hash := keccak256(words, 0x80)
        }
    }

    /// @dev Struct hash of the client's acceptance of a deal that was never opened.
    function ofAcceptance(bytes32 jobId, bytes32 receiptHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(ACCEPTANCE_TYPEHASH, jobId, receiptHash));
    }
}
