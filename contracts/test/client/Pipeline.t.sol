// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket, LotaClient} from "../../src/LotaClient.sol";
import {Cid} from "../../src/client/Cid.sol";
import {JobSpecs, Limits} from "../../src/client/JobSpec.sol";
import {Pipeline} from "../../src/examples/Pipeline.sol";
import {TestDollar} from "../../src/examples/TestDollar.sol";
import {ClientTest} from "./ClientTest.sol";

contract PipelineTest is ClientTest {
    string private constant FIRST = "bafybeifirst";
    string private constant SECOND = "bafybeisecond";
    string private constant INPUT = "bafybeiinput";

    Pipeline private pipeline;

    function setUp() public override {
        super.setUp();
        pipeline = _pipeline();
    }

    function _limits() private pure returns (Limits memory) {
        return Limits({fuel: 1e9, memoryBytes: 1 << 26, outputBytes: 1 << 20, entries: 10, wall: 60});
    }

    function _pipeline() private returns (Pipeline) {
        return
            Pipeline(
                deployCode("Pipeline.sol:Pipeline", abi.encode(address(market), 500_000, FIRST, SECOND, _limits()))
            );
    }

    function _start() private returns (ILotaMarket.Terms memory terms) {
        vm.recordLogs();
        vm.prank(asker);
        bytes32 jobId = pipeline.start{value: 2 ether}(INPUT, 1 ether);
        string memory spec;
        (terms, spec) = _opened();
        assertEq(market.jobIdOf(terms), jobId);
        assertEq(vm.parseJsonString(spec, ".engine.module"), FIRST);
        assertEq(vm.parseJsonString(spec, ".inputs[0].cid"), INPUT);
        assertEq(market.balanceOf(address(pipeline)), 1 ether, "the second price waits");
    }

    /// @dev The first job's end; the second job, which its callback opened.
    function _continue(ILotaMarket.Terms memory first) private returns (ILotaMarket.Terms memory second) {
        vm.recordLogs();
        _run(first, _result("one"));
        string memory spec;
        (second, spec) = _opened();
        assertEq(vm.parseJsonString(spec, ".engine.module"), SECOND);
        assertEq(vm.parseJsonString(spec, ".inputs[0].cid"), Cid.ofOutput(keccak256("output")));
        assertEq(second.salt, first.salt + 1);
        _assertForgotten(first);
        assertEq(market.balanceOf(address(pipeline)), 0);
    }

    function test_TheSecondJobRunsOnTheOutputOfTheFirst() external {
        ILotaMarket.Terms memory first = _start();
        ILotaMarket.Terms memory second = _continue(first);
        _assertEnded(first);
        ILotaMarket.Result memory result = _result("two");
        result.output = keccak256("the end");
        _lock(second);
        bytes32 jobId = market.jobIdOf(second);
        vm.expectEmit(address(pipeline));
        emit Pipeline.Finished(jobId, result.output, "two");
        _submit(second, result);
        assertEq(pipeline.outputOf(market.jobIdOf(second)), result.output);
        assertEq(pipeline.outputOf(market.jobIdOf(first)), 0);
        _assertOwed(0);
        _assertEnded(second);
    }

    function test_TwoAtOnceDoNotMix() external {
        ILotaMarket.Terms memory one = _start();
        vm.recordLogs();
        vm.deal(stranger, 6 ether);
        vm.prank(stranger);
        pipeline.start{value: 6 ether}("bafybeiother", 3 ether);
        (ILotaMarket.Terms memory two,) = _opened();
        vm.recordLogs();
        _run(two, _result("one"));
        (ILotaMarket.Terms memory next,) = _opened();
        assertEq(next.maxPrice, 3 ether);
        _stop(one);
        assertEq(pipeline.owed(asker), 2 ether);
        vm.warp(next.lockBy + 1);
        market.expire(next);
        assertEq(pipeline.owed(stranger), 3 ether);
        assertEq(market.balanceOf(address(pipeline)), 5 ether);
    }

    /// @dev Nobody takes the job.
    function _stop(ILotaMarket.Terms memory terms) private {
        vm.warp(terms.lockBy + 1);
        bytes32 jobId = market.jobIdOf(terms);
        vm.expectEmit(address(pipeline));
        emit Pipeline.Stopped(jobId, 0, ILotaMarket.Reason.NotLocked);
        market.expire(terms);
        _assertForgotten(terms);
    }

    /// @dev What has ended leaves the storage.
    function _assertForgotten(ILotaMarket.Terms memory terms) private view {
        (address payer, uint96 price) = pipeline.nextOf(market.jobIdOf(terms));
        assertEq(payer, address(0));
        assertEq(price, 0);
    }

    function _assertOwed(uint256 amount) private {
        assertEq(pipeline.owed(asker), amount);
        assertEq(market.balanceOf(address(pipeline)), amount);
        vm.startPrank(asker);
        uint256 before = asker.balance;
        pipeline.withdraw();
        pipeline.withdraw();
        assertEq(asker.balance, before + amount);
        vm.stopPrank();
    }

    function test_BothPricesComeBackWhenTheFirstJobFails() external {
        _stop(_start());
        _assertOwed(2 ether);
    }

    function test_ThePriceComesBackWhenTheSecondJobFails() external {
        _stop(_continue(_start()));
        _assertOwed(1 ether);
    }

    function test_TheSecondPriceComesBackWhenTheFirstProgramEndsBadly() external {
        ILotaMarket.Terms memory terms = _start();
        ILotaMarket.Result memory result = _result("panicked");
        result.exitCode = 101;
        _lock(terms);
        bytes32 jobId = market.jobIdOf(terms);
        vm.expectEmit(address(pipeline));
        emit Pipeline.Stopped(jobId, 101, ILotaMarket.Reason.None);
        _submit(terms, result);
        _assertOwed(1 ether);
    }

    function test_NothingComesBackWhenTheSecondProgramEndsBadly() external {
        ILotaMarket.Terms memory terms = _continue(_start());
        ILotaMarket.Result memory result = _result("panicked");
        result.exitCode = 101;
        _run(terms, result);
        assertEq(pipeline.outputOf(market.jobIdOf(terms)), 0);
        _assertOwed(0);
    }

    /// @dev A provider cannot keep the second job from being opened by what it says.
    function test_WhateverTheFirstResultSaysTheSecondJobIsOpened() external {
        ILotaMarket.Terms memory first = _start();
        bytes memory junk = new bytes(1024);
        for (uint256 i = 0; i < 1024; ++i) {
            junk[i] = 0xff;
        }
        ILotaMarket.Result memory result = _result(junk);
        result.output = 0;
        vm.recordLogs();
        _run(first, result);
        (ILotaMarket.Terms memory second,) = _opened();
        assertEq(second.client, address(pipeline));
        _assertEnded(first);
    }

    function test_RevertWhen_TheMoneyIsNotTwiceThePrice() external {
        vm.startPrank(asker);
        vm.expectRevert(abi.encodeWithSelector(LotaClient.WrongValue.selector, 1 ether, 2 ether));
        pipeline.start{value: 1 ether}(INPUT, 1 ether);
    }

    function test_RevertWhen_ItsLimitsAreOutOfRange() external {
        Limits memory limits = _limits();
        limits.entries = 0;
        vm.expectRevert(abi.encodeWithSelector(JobSpecs.LimitOutOfRange.selector, "entries", 0, 1, type(uint64).max));
        new Pipeline(market, 500_000, FIRST, SECOND, limits);
    }

    function test_ItIsPaidInDollars() external {
        TestDollar dollar = new TestDollar();
        market = _market(address(dollar), 1);
        pipeline = _pipeline();
        dollar.mint(asker, 10e6);
        dollar.mint(provider, 10e6);
        vm.startPrank(provider);
        dollar.approve(address(market), 10e6);
        market.depositToken(provider, 10e6);
        vm.startPrank(asker);
        dollar.approve(address(pipeline), 10e6);
        vm.recordLogs();
        pipeline.start(INPUT, 5e6);
        vm.stopPrank();
        (ILotaMarket.Terms memory first,) = _opened();
        ILotaMarket.Terms memory second = _continue(first);
        _run(second, _result("two"));
        assertEq(market.balanceOf(provider), 20e6);
        assertEq(dollar.balanceOf(asker), 0);
    }

    /// @dev What the first callback needs on Ethereum; forge test -vv --match-test test_Gas prints it.
    /// forge-config: default.isolate = true
    function test_GasOfOpeningTheSecondJob() external {
        ILotaMarket.Terms memory first = _start();
        _lock(first);
        bytes32 jobId = market.jobIdOf(first);
        vm.prank(address(market));
        pipeline.onJobResult(jobId, _result("one"));
        uint256 used = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(
            "gas of opening the second job in the first one's callback, with a transaction's 21,000", used
        );
        assertLt(used, 500_000);
    }
}
