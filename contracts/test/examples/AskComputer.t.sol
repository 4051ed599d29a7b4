// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Vm} from "forge-std/Vm.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {AskComputer} from "../../src/examples/AskComputer.sol";
import {Json} from "../../src/examples/Json.sol";
import {MarketTest} from "../base/MarketTest.sol";

/// @dev Makes the library's reverts happen in a call.
contract JsonCaller {
    function escape(string calldata text) external pure returns (string memory) {
        return Json.escape(text);
    }

    function escapeBytes(bytes calldata text) external pure returns (string memory) {
        return Json.escape(string(text));
    }
}

contract AskComputerTest is MarketTest {
    string private constant HEAD =
        '{"version":1,"engine":{"type":"wasm","module":"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"},"args":[';
    string private constant TAIL =
        '],"limits":{"fuel":1000000000,"memory":67108864,"output":65536,"entries":10,"wall":60}}';

    AskComputer private computer;
    JsonCaller private json;

    function setUp() public override {
        super.setUp();
        json = new JsonCaller();
        AskComputer.Offer memory offer = AskComputer.Offer({
            lockFor: 1 hours,
            runFor: 2 hours,
            reviewFor: 3 hours,
            ruleFor: 4 hours,
            collateral: 2 ether,
            arbiter: arbiter.addr,
            callbackGas: 1_200_000
        });
        computer =
            AskComputer(deployCode("AskComputer.sol:AskComputer", abi.encode(address(market), offer, HEAD, TAIL)));
        deal(stranger.addr, 100 ether);
    }

    /// @dev Asks, and reads the terms from the market's event, as a node does.
    function _ask(string memory question) private returns (ILotaMarket.Terms memory terms, string memory spec) {
        vm.recordLogs();
        vm.prank(stranger.addr);
        bytes32 jobId = computer.ask{value: 1 ether}(question);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != ILotaMarket.JobOpened.selector) continue;
            assertEq(logs[i].topics[1], jobId);
            bytes memory data;
            (terms, data) = abi.decode(logs[i].data, (ILotaMarket.Terms, bytes));
            spec = string(data);
        }
        assertEq(_jobId(terms), jobId);
    }

    function _run(ILotaMarket.Terms memory terms, bytes memory answer) private returns (ILotaMarket.Receipt memory) {
        ILotaMarket.Result memory result = ILotaMarket.Result(keccak256("output"), 3, 1000, answer);
        vm.startPrank(provider.addr);
        market.lock(terms);
        market.submitResult(terms, result);
        vm.stopPrank();
        return ILotaMarket.Receipt(provider.addr, 1 ether, result);
    }

    function _settled(ILotaMarket.Terms memory terms, ILotaMarket.Receipt memory receipt) private {
        vm.warp(block.timestamp + 3 hours + 1);
        market.settle(terms, receipt);
    }

    function test_AQuestionIsAnswered() external {
        (ILotaMarket.Terms memory terms, string memory spec) = _ask("what is 6 x 7?");
        assertEq(spec, string.concat(HEAD, '"what is 6 x 7?"', TAIL));
        assertEq(terms.spec, sha256(bytes(spec)));
        assertEq(terms.client, address(computer));
        _settled(terms, _run(terms, "42"));
        AskComputer.Question memory question = computer.questionOf(_jobId(terms));
        assertTrue(question.state == AskComputer.State.Answered);
        assertEq(question.answer, "42");
        assertEq(question.exitCode, 3);
        assertEq(question.output, keccak256("output"));
        assertEq(question.asker, stranger.addr);
        assertEq(market.balanceOf(address(computer)), 0);
        assertEq(computer.owed(stranger.addr), 0);
    }

    function test_ALongAnswerFitsIntoTheCallback() external {
        (ILotaMarket.Terms memory terms,) = _ask("tell me all");
        bytes memory answer = new bytes(1024);
        for (uint256 i = 0; i < 1024; ++i) {
            answer[i] = bytes1(uint8(1 + i % 255));
        }
        _settled(terms, _run(terms, answer));
        assertEq(computer.questionOf(_jobId(terms)).answer, answer);
        _assertStatus(terms, ILotaMarket.Status.None, ILotaMarket.Reason.None, false);
    }

    /// @dev The fault of a predecessor: two jobs in one transaction, one lost.
    function test_TheSameQuestionTwiceInABlockIsTwoJobs() external {
        (ILotaMarket.Terms memory first,) = _ask("again");
        (ILotaMarket.Terms memory second,) = _ask("again");
        assertEq(first.salt + 1, second.salt);
        ILotaMarket.Receipt memory one = _run(first, "1");
        ILotaMarket.Receipt memory two = _run(second, "2");
        _settled(first, one);
        market.settle(second, two);
        assertEq(computer.questionOf(_jobId(first)).answer, "1");
        assertEq(computer.questionOf(_jobId(second)).answer, "2");
    }

    function test_TheMoneyComesBackWhenNobodyTakesTheJob() external {
        (ILotaMarket.Terms memory terms,) = _ask("anybody?");
        vm.warp(terms.lockBy + 1);
        market.expire(terms);
        _assertFailed(terms, ILotaMarket.Reason.NotLocked, 1 ether);
    }

    function test_TheMoneyAndHalfTheCollateralComeBackWhenTheProviderIsLate() external {
        (ILotaMarket.Terms memory terms,) = _ask("are you there?");
        vm.prank(provider.addr);
        market.lock(terms);
        vm.warp(block.timestamp + 2 hours + 1);
        market.expire(terms);
        _assertFailed(terms, ILotaMarket.Reason.NotSubmitted, 2 ether);
    }

    function test_TheMoneyAndHalfTheCollateralComeBackWhenTheResultIsOverturned() external {
        _ruled(ILotaMarket.Verdict.Overturned, ILotaMarket.Reason.Overturned, 2 ether);
    }

    function test_TheMoneyComesBackWhenTheArbiterCannotDecide() external {
        _ruled(ILotaMarket.Verdict.Void, ILotaMarket.Reason.Undecided, 1 ether);
    }

    function _ruled(ILotaMarket.Verdict verdict, ILotaMarket.Reason reason, uint256 refund) private {
        (ILotaMarket.Terms memory terms,) = _ask("is it true?");
        ILotaMarket.Receipt memory receipt = _run(terms, "no");
        vm.startPrank(arbiter.addr);
        market.dispute(terms);
        market.rule(terms, receipt, verdict);
        vm.stopPrank();
        _assertFailed(terms, reason, refund);
    }

    function _assertFailed(ILotaMarket.Terms memory terms, ILotaMarket.Reason reason, uint256 refund) private {
        AskComputer.Question memory question = computer.questionOf(_jobId(terms));
        assertTrue(question.state == AskComputer.State.Failed);
        assertTrue(question.reason == reason);
        assertEq(computer.owed(stranger.addr), refund);
        uint256 before = stranger.addr.balance;
        vm.prank(stranger.addr);
        computer.withdraw();
        assertEq(stranger.addr.balance, before + refund);
        assertEq(computer.owed(stranger.addr), 0);
        assertEq(market.balanceOf(address(computer)), 0);
        vm.prank(stranger.addr);
        computer.withdraw(); // nothing more
        assertEq(stranger.addr.balance, before + refund);
    }

    function test_NobodyButTheMarketCallsBack() external {
        (ILotaMarket.Terms memory terms,) = _ask("who is it?");
        bytes32 jobId = _jobId(terms);
        bytes memory refused = abi.encodeWithSelector(AskComputer.NotTheMarket.selector, provider.addr);
        vm.startPrank(provider.addr);
        vm.expectRevert(refused);
        computer.onJobResult(jobId, _result());
        vm.expectRevert(refused);
        computer.onJobFailed(jobId, ILotaMarket.Reason.Withdrawn);
    }

    // ------------------------------------------------------------------------------------------------------------
    // JSON
    // ------------------------------------------------------------------------------------------------------------

    /// @dev The injection that a naive splice would allow: more arguments, other limits.
    function test_AQuestionStaysOneString() external {
        string memory evil = '","--admin"],"limits":{"fuel":1},"x":["\\';
        (, string memory spec) = _ask(evil);
        assertEq(vm.parseJsonString(spec, ".args[0]"), evil);
        assertFalse(vm.keyExistsJson(spec, ".args[1]"));
        assertFalse(vm.keyExistsJson(spec, ".x"));
        assertEq(vm.parseJsonUint(spec, ".limits.fuel"), 1_000_000_000);
    }

    function test_ControlCharactersAreEscaped() external view {
        assertEq(json.escape("a\tb\n\r\x00\x1f\x7f"), "a\\u0009b\\u000a\\u000d\\u0000\\u001f\x7f");
        assertEq(json.escape('say "\\"'), 'say \\"\\\\\\"');
        assertEq(json.escape(""), "");
    }

    function testFuzz_EscapedTextIsReadBack(string calldata text) external view {
        string memory document = string.concat('{"args":["', json.escape(text), '"]}');
        assertEq(vm.parseJsonString(document, ".args[0]"), text);
    }

    function test_TextOfAllLengthsOfUtf8Passes() external view {
        string memory text = unicode"aé€𝄞 ߿ࠀ퟿�𐀀";
        assertEq(json.escape(text), text);
        assertEq(bytes(json.escapeBytes(hex"f48fbfbf")), hex"f48fbfbf"); // U+10FFFF
    }

    function test_WhatIsNotUtf8IsRefused() external {
        bytes[14] memory wrong = [
            bytes(hex"80"), // a continuation alone
            hex"c080", // overlong
            hex"c1bf",
            hex"e08080",
            hex"e09fbf",
            hex"f08fbfbf",
            hex"eda080", // a surrogate
            hex"edbfbf",
            hex"f4908080", // above U+10FFFF
            hex"f5808080",
            hex"c3", // cut off
            hex"e282",
            hex"f09d84",
            hex"c341" // no continuation
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Json.NotUtf8.selector, 1));
            json.escapeBytes(bytes.concat("a", wrong[i]));
        }
    }
}
