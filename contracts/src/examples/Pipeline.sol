// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket, LotaClient} from "../LotaClient.sol";
import {Cid} from "../client/Cid.sol";
import {Input, JobSpec, JobSpecs, Limits} from "../client/JobSpec.sol";

/// @title Pipeline: an example client; runs two programs in a row, the second on the output of the first
/// @notice Who starts it pays for both runs at once, in the market's currency. When the first program has ended well, its callback
/// opens the second job, whose input is the first one's output: by its CID, so it may be of any size. When something fails, what
/// was not spent is owed to who paid ({withdraw}). Unverified: any provider is trusted.
///
/// @dev The callback of the first job opens a job: it needs more gas than one that stores an answer.
contract Pipeline is LotaClient {
    /// @param payer who started it; zero when there is no next run
    /// @param price what the second run costs, which waits in this contract's balance at the market
    struct Next {
        address payer;
        uint96 price;
    }

    string public first;
    string public second;
    Limits public limits;
    mapping(bytes32 jobId => Next) public nextOf; // of first jobs that are under way
    mapping(bytes32 jobId => bytes32 output) public outputOf; // of second jobs that ended well

    event Started(bytes32 indexed jobId, address indexed payer);
    /// @notice The first job's output became the input of job `next`.
    event Continued(bytes32 indexed jobId, bytes32 indexed next);
    event Finished(bytes32 indexed jobId, bytes32 output, bytes printed);
    /// @notice It ended here: the program's exit code was not 0 (reason None), or the job failed.
    event Stopped(bytes32 indexed jobId, uint32 exitCode, ILotaMarket.Reason reason);

    /// @param firstModule CID of the program that gets the input
    /// @param secondModule CID of the program that gets its output
    /// @param both limits of both runs
    constructor(
        ILotaMarket market,
        uint32 callbackGas,
        string memory firstModule,
        string memory secondModule,
        Limits memory both
    ) LotaClient(market, callbackGas) {
        (first, second, limits) = (firstModule, secondModule, both);
        _spec("", ""); // its limits are checked here rather than at every start
    }

    /// @notice Starts with the file or directory at `input`; each run costs `price`. Bring twice that: as value, or, where the market's
    /// asset is a token, by approving this contract for it.
    function start(string calldata input, uint96 price) external payable returns (bytes32 jobId) {
        _collect(2 * uint256(price));
        jobId = _openJob(_terms(price), _spec(first, input), msg.sender, 0);
        nextOf[jobId] = Next(msg.sender, price);
        emit Started(jobId, msg.sender);
    }

    function _onResult(bytes32 jobId, address, ILotaMarket.Result calldata result) internal override {
        Next memory next = nextOf[jobId];
        if (result.exitCode != 0) return _stop(jobId, next, result.exitCode, ILotaMarket.Reason.None);
        if (next.payer == address(0)) {
            outputOf[jobId] = result.output;
            emit Finished(jobId, result.output, result.inlineData);
            return;
        }
        delete nextOf[jobId];
        bytes memory spec = _spec(second, Cid.ofOutput(result.output));
        emit Continued(jobId, _openJob(_terms(next.price), spec, next.payer, 0));
    }

    function _onFailure(bytes32 jobId, address, ILotaMarket.Reason reason, uint256) internal override {
        _stop(jobId, nextOf[jobId], 0, reason);
    }

    /// @dev Gives back what the second run would have cost; what a failed job cost is given back already.
    function _stop(bytes32 jobId, Next memory next, uint32 exitCode, ILotaMarket.Reason reason) private {
        delete nextOf[jobId];
        if (next.payer != address(0)) _credit(next.payer, next.price);
        emit Stopped(jobId, exitCode, reason);
    }

    function _spec(string memory module, string memory input) private view returns (bytes memory) {
        JobSpec memory spec = JobSpecs.wasm(module, limits);
        spec.inputs = new Input[](1);
        spec.inputs[0].cid = input;
        return spec.toJson();
    }
}
