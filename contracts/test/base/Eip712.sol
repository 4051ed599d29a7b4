// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";

/// @title Eip712: the market's typed data, written down once more, in the plainest way
/// @dev The types are those of {ILotaMarket}'s structs, encoded by the compiler; nothing is shared with src/.
library Eip712 {
    string internal constant TERMS = "Terms(address client,uint256 salt,bytes32 spec,uint16 specCodec,uint256 minPrice,"
        "uint256 maxPrice,uint64 rampStart,uint64 rampPeriod,uint64 lockBy,uint32 runFor,uint32 reviewFor,uint32 ruleFor,"
        "uint256 collateral,address matcher,address arbiter,uint32 callbackGas,bool keepRecord)";
    string internal constant RESULT = "Result(bytes32 output,uint32 exitCode,uint64 fuelUsed,bytes inlineData)";
    string internal constant RECEIPT = "Receipt(address provider,uint256 price,Result result)";
    string internal constant ACCEPTANCE = "Acceptance(bytes32 jobId,Receipt receipt,uint64 until)";

    function domain(address market, uint256 chainId) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("LotaMarket"),
                keccak256("1"),
                chainId,
                market
            )
        );
    }

    function hash(ILotaMarket.Terms memory terms) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(bytes(TERMS)), terms));
    }

    function hash(ILotaMarket.Result memory result) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(bytes(RESULT)), result.output, result.exitCode, result.fuelUsed, keccak256(result.inlineData)
            )
        );
    }

    function hash(ILotaMarket.Receipt memory receipt) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(bytes(string.concat(RECEIPT, RESULT))), receipt.provider, receipt.price, hash(receipt.result)
            )
        );
    }

    function acceptance(bytes32 jobId, ILotaMarket.Receipt memory receipt, uint64 until)
        internal
        pure
        returns (bytes32)
    {
        bytes32 typehash = keccak256(bytes(string.concat(ACCEPTANCE, RECEIPT, RESULT)));
        return keccak256(abi.encode(typehash, jobId, hash(receipt), until));
    }

    /// @dev What the market stores of a receipt.
    function kept(bytes32 jobId, ILotaMarket.Receipt memory receipt) internal pure returns (bytes26) {
        return bytes26(keccak256(abi.encode(jobId, hash(receipt))));
    }

    function digest(bytes32 domainSeparator, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash));
    }
}
