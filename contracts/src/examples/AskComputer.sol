// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaClient, ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {Json} from "./Json.sol";

/// @title AskComputer: an example client; asks a program a question, pays for the run, keeps the answer
/// @notice Somebody sends a question and what it may cost. A job is opened at that price; the provider who runs it is paid
/// when it is settled, and the market hands the answer to {onJobResult}. When the job fails, {onJobFailed} notes why, and
/// who asked gets the money back with {withdraw}.
///
/// @dev The job's spec is JSON (docs/spec.md): the deployer gives what stands before and behind the question, which becomes a
/// JSON string. For the program at CID `bafy...`, which gets the question as its argument and prints the answer:
///
///     head: {"version":1,"engine":{"type":"wasm","module":"bafy..."},"args":[
///     tail: ],"limits":{"fuel":1000000000,"memory":67108864,"output":65536,"entries":10,"wall":60}}
///
/// The price is fixed (minPrice = maxPrice), so this contract knows to the attoFIL whose money is whose. It trusts the
/// terms' arbiter, or, without one, the provider.
contract AskComputer is ILotaClient {
    /// @notice What all jobs of this contract have in common; see {ILotaMarket-Terms}.
    /// @param lockFor how long a job waits for a provider, in seconds
    struct Offer {
        uint64 lockFor;
        uint32 runFor;
        uint32 reviewFor;
        uint32 ruleFor;
        uint256 collateral;
        address arbiter;
        uint32 callbackGas;
    }

    enum State {
        Unknown,
        Asked,
        Answered,
        Failed
    }

    /// @param asker who asked, and paid `price`
    /// @param output sha2-256 digest of the output's root block; the whole output is to be found by it
    /// @param answer what the program printed, as far as it came along
    /// @param reason why the job failed
    struct Question {
        address asker;
        State state;
        uint32 exitCode;
        ILotaMarket.Reason reason;
        uint256 price;
        bytes32 output;
        bytes answer;
    }

    ILotaMarket public immutable MARKET;
    Offer public offer;
    string public head;
    string public tail;

    uint256 public nextSalt;
    mapping(bytes32 jobId => Question) private _questions;
    mapping(address asker => uint256 attoFil) public owed;

    event Asked(bytes32 indexed jobId, address indexed asker, string question);
    event Answered(bytes32 indexed jobId, uint32 exitCode, bytes answer);
    event Failed(bytes32 indexed jobId, ILotaMarket.Reason reason, uint256 refund);

    error NotTheMarket(address sender);

    constructor(ILotaMarket market, Offer memory common, string memory before, string memory behind) {
        MARKET = market;
        offer = common;
        head = before;
        tail = behind;
    }

    /// @notice Asks; the value sent (whole gwei) is the price.
    /// @return jobId under which the answer will be found
    function ask(string calldata question) external payable returns (bytes32 jobId) {
        bytes memory spec = bytes(string.concat(head, '"', Json.escape(question), '"', tail));
        jobId = MARKET.open{value: msg.value}(_terms(sha256(spec), msg.value), spec);
        _questions[jobId].asker = msg.sender;
        _questions[jobId].state = State.Asked;
        _questions[jobId].price = msg.value;
        emit Asked(jobId, msg.sender, question);
    }

    /// @inheritdoc ILotaClient
    function onJobResult(bytes32 jobId, ILotaMarket.Result calldata result) external {
        if (msg.sender != address(MARKET)) revert NotTheMarket(msg.sender);
        Question storage question = _questions[jobId];
        question.state = State.Answered;
        question.exitCode = result.exitCode;
        question.output = result.output;
        question.answer = result.inlineData;
        emit Answered(jobId, result.exitCode, result.inlineData);
    }

    /// @inheritdoc ILotaClient
    function onJobFailed(bytes32 jobId, ILotaMarket.Reason reason) external {
        if (msg.sender != address(MARKET)) revert NotTheMarket(msg.sender);
        Question storage question = _questions[jobId];
        question.state = State.Failed;
        question.reason = reason;
        // The escrow or the price came back; from a provider who was slashed half the collateral, too.
        uint256 refund = question.price;
        bool slashed = reason == ILotaMarket.Reason.NotSubmitted || reason == ILotaMarket.Reason.Overturned;
        if (slashed) refund += offer.collateral / 2;
        owed[question.asker] += refund;
        emit Failed(jobId, reason, refund);
    }

    /// @notice Pays the sender what its failed jobs gave back. Not possible from within a callback.
    function withdraw() external {
        uint256 amount = owed[msg.sender];
        owed[msg.sender] = 0;
        MARKET.withdraw(msg.sender, amount);
    }

    function questionOf(bytes32 jobId) external view returns (Question memory) {
        return _questions[jobId];
    }

    function _terms(bytes32 spec, uint256 price) private returns (ILotaMarket.Terms memory) {
        return ILotaMarket.Terms({
            client: address(this),
            salt: nextSalt++,
            spec: spec,
            specCodec: 0x55,
            minPrice: price,
            maxPrice: price,
            rampStart: uint64(block.timestamp),
            rampPeriod: 1,
            lockBy: uint64(block.timestamp) + offer.lockFor,
            runFor: offer.runFor,
            reviewFor: offer.reviewFor,
            ruleFor: offer.ruleFor,
            collateral: offer.collateral,
            matcher: address(0),
            arbiter: offer.arbiter,
            callbackGas: offer.callbackGas,
            keepRecord: false
        });
    }
}
