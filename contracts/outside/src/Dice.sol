// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ILotaMarket, LotaClient} from "@lota/contracts/src/LotaClient.sol";
import {JobSpec, JobSpecs, Limits} from "@lota/contracts/src/client/JobSpec.sol";

/// @notice Pays a program to throw dice. Unverified: any provider is trusted.
contract Dice is LotaClient {
    string public program;
    mapping(address player => bytes) public thrown;

    constructor(ILotaMarket market, string memory program_) LotaClient(market, 300_000) {
        program = program_;
    }

    function play(string calldata dice) external payable returns (bytes32) {
        JobSpec memory spec = JobSpecs.wasm(
            program, Limits({fuel: 1e9, memoryBytes: 1 << 26, outputBytes: 65_536, entries: 10, wall: 60})
        );
        spec.args = new string[](1);
        spec.args[0] = dice;
        return _openJob(_terms(msg.value), spec.toJson(), msg.sender, msg.value);
    }

    function _onResult(bytes32, address player, ILotaMarket.Result calldata result) internal override {
        if (result.exitCode == 0) thrown[player] = result.inlineData;
    }

    function _onFailure(bytes32, address, ILotaMarket.Reason, uint256) internal override {}
}
