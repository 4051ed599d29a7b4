// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";

/// @title Hashes: the EIP-712 types of the market
library Hashes {
    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    bytes32 internal constant TERMS_TYPEHASH = keccak256(
        "Terms(address client,uint256 salt,bytes32 spec,uint16 specCodec,uint256 minPrice,uint256 maxPrice,"
        "uint64 rampStart,uint64 rampPeriod,uint64 lockBy,uint32 runFor,uint32 reviewFor,uint32 ruleFor,"
        "uint256 collateral,address matcher,address arbiter,uint32 callbackGas,bool keepRecord)"
    );

    bytes32 internal constant RESULT_TYPEHASH =
        keccak256("Result(bytes32 output,uint32 exitCode,uint64 fuelUsed,bytes inlineData)");

    bytes32 internal constant RECEIPT_TYPEHASH = keccak256(
        "Receipt(address provider,uint256 price,Result result)"
        "Result(bytes32 output,uint32 exitCode,uint64 fuelUsed,bytes inlineData)"
    );

    bytes32 internal constant ACCEPTANCE_TYPEHASH = keccak256(
        "Acceptance(bytes32 jobId,Receipt receipt,uint64 until)Receipt(address provider,uint256 price,Result result)"
        "Result(bytes32 output,uint32 exitCode,uint64 fuelUsed,bytes inlineData)"
    );

    function domainSeparator() internal view returns (bytes32) {
        return
            keccak256(
                abi.encode(DOMAIN_TYPEHASH, keccak256("LotaMarket"), keccak256("1"), block.chainid, address(this))
            );
    }

    /// @dev The digest that is signed for a struct hash: keccak256(abi.encodePacked(hex"1901", domain, structHash)), which would
    /// allocate memory for it, 160 gas in every call of the market that names a deal.
    function typed(bytes32 domain, bytes32 structHash) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, shl(240, 0x1901))
            mstore(add(free, 0x02), domain)
            mstore(add(free, 0x22), structHash)
            digest := keccak256(free, 0x42)
        }
    }

    /// @dev keccak256(abi.encode(TERMS_TYPEHASH, terms)). In memory a struct of 17 values is 17 words, as it is encoded; copying
    /// them once more would cost as much as all else that is done with them. The word in front is borrowed for the type.
    function ofTerms(ILotaMarket.Terms memory terms) internal pure returns (bytes32 hash) {
        bytes32 typehash = TERMS_TYPEHASH;
        assembly ("memory-safe") {
            let start := sub(terms, 0x20)
            let borrowed := mload(start)
            mstore(start, typehash)
            hash := keccak256(start, 0x240)
            mstore(start, borrowed)
        }
    }

    function ofReceipt(address provider, uint256 price, ILotaMarket.Result calldata result)
        internal
        pure
        returns (bytes32)
    {
        bytes32 data = keccak256(result.inlineData);
        bytes32 ofResult = _ofWords(
            5,
            RESULT_TYPEHASH,
            result.output,
            bytes32(uint256(result.exitCode)),
            bytes32(uint256(result.fuelUsed)),
            data
        );
        return _ofWords(4, RECEIPT_TYPEHASH, bytes32(uint256(uint160(provider))), bytes32(price), ofResult, 0);
    }

    /// @dev Of the client's acceptance of a deal that was never opened.
    function ofAcceptance(bytes32 jobId, bytes32 receiptHash, uint64 until) internal pure returns (bytes32) {
        return _ofWords(4, ACCEPTANCE_TYPEHASH, jobId, receiptHash, bytes32(uint256(until)), 0);
    }

    /// @dev keccak256(abi.encode(...)) of the first `count` of these words. abi.encode would allocate memory for each hash: 450 gas
    /// per deal in a batch.
    function _ofWords(uint256 count, bytes32 a, bytes32 b, bytes32 c, bytes32 d, bytes32 e)
        private
        pure
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, a)
            mstore(add(free, 0x20), b)
            mstore(add(free, 0x40), c)
            mstore(add(free, 0x60), d)
            mstore(add(free, 0x80), e)
            hash := keccak256(free, shl(5, count))
        }
    }
}
