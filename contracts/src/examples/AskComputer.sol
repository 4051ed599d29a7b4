// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket, LotaClient} from "../LotaClient.sol";
import {Json} from "../client/Json.sol";

/// @title AskComputer: an example client; asks a program a question, pays for the run, keeps the answer
/// @notice Somebody sends a question and what it may cost. A job is opened at that price; the provider who runs it is paid when
/// it submits the answer, which the market hands over. When the job fails, who asked gets the money back with {withdraw}.
/// Unverified: any provider is trusted.
///
/// @dev The job's spec is JSON (docs/spec.md): the deployer gives what stands before and behind the question, which becomes a
/// JSON string. For the program at CID `bafy...`, which gets the question as its argument and prints the answer:
///
///     head: {"version":1,"engine":{"type":"wasm","module":"bafy..."},"args":[
///     tail: ],"limits":{"fuel":1000000000,"memory":67108864,"output":65536,"entries":10,"wall":60}}
contract AskComputer is LotaClient {
    /// @notice What all jobs of this contract have in common; see {ILotaMarket-Terms}.
    /// @param lockFor how long a job waits for a provider, in seconds
    struct Offer {
        uint64 lockFor;
        uint32 runFor;
        uint32 callbackGas;
        uint256 collateral;
    }

    enum State {
        Unknown,
        Asked,
        Answered,
        Failed
    }

    /// @param output sha2-256 digest of the output's root block; the whole output is to be found by it
    /// @param answer what the program printed, as far as it came along
    /// @param reason why the job failed
    struct Question {
        State state;
        uint32 exitCode;
        ILotaMarket.Reason reason;
        bytes32 output;
        bytes answer;
    }

    Offer public offer;
    string public head;
    string public tail;
    mapping(bytes32 jobId => Question) private _questions;

    event Asked(bytes32 indexed jobId, address indexed asker, string question);
    event Answered(bytes32 indexed jobId, uint32 exitCode, bytes answer);
    event Failed(bytes32 indexed jobId, ILotaMarket.Reason reason, uint256 refund);

    constructor(ILotaMarket market, Offer memory common, string memory before, string memory behind)
        LotaClient(market, common.callbackGas)
    {
        (offer, head, tail) = (common, before, behind);
    }

    /// @notice Asks; the value sent (whole quanta of the chain's coin) is the price.
    /// @return jobId under which the answer will be found
    function ask(string calldata question) external payable returns (bytes32 jobId) {
        bytes memory spec = bytes(string.concat(head, Json.quote(question), tail));
        jobId = _openJob(_terms(msg.value), spec, msg.sender, msg.value);
        _questions[jobId].state = State.Asked;
        emit Asked(jobId, msg.sender, question);
    }

    function questionOf(bytes32 jobId) external view returns (Question memory) {
        return _questions[jobId];
    }

    function _terms(uint256 price) internal view override returns (ILotaMarket.Terms memory terms) {
        terms = super._terms(price);
        terms.lockBy = uint64(block.timestamp) + offer.lockFor;
        terms.runFor = offer.runFor;
        terms.collateral = offer.collateral;
    }

    function _onResult(bytes32 jobId, address, ILotaMarket.Result calldata result) internal override {
        _questions[jobId] =
            Question(State.Answered, result.exitCode, ILotaMarket.Reason.None, result.output, result.inlineData);
        emit Answered(jobId, result.exitCode, result.inlineData);
    }

    function _onFailure(bytes32 jobId, address, ILotaMarket.Reason reason, uint256 refund) internal override {
        (_questions[jobId].state, _questions[jobId].reason) = (State.Failed, reason);
        emit Failed(jobId, reason, refund);
    }
}
