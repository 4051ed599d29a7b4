// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket, LotaClient} from "../../src/LotaClient.sol";
import {ClientTest} from "./ClientTest.sol";
import {GreedyPayee, TestClient} from "./mocks/TestClient.sol";

contract LotaClientTest is ClientTest {
    bytes private constant SPEC = '{"version":1}';

    TestClient private client;

    function setUp() public override {
        super.setUp();
        client = new TestClient(market, 500_000);
    }

    /// @dev With a price of 1 and collateral of 3, both odd in quanta.
    function _odd() private view returns (ILotaMarket.Terms memory terms) {
        terms = client.terms(1 ether + 1 gwei);
        terms.collateral = 3 ether + 3 gwei;
    }

    function _open(ILotaMarket.Terms memory with, address payer) private returns (ILotaMarket.Terms memory terms) {
        vm.recordLogs();
        vm.prank(asker);
        client.openJob{value: with.maxPrice}(with, SPEC, payer, with.maxPrice);
        (terms,) = _opened();
    }

    function _withArbiter() private view returns (ILotaMarket.Terms memory terms) {
        terms = _odd();
        (terms.arbiter, terms.reviewFor, terms.ruleFor) = (arbiter, 1 hours, 2 hours);
    }

    function _told() private view returns (TestClient.Told memory told) {
        (told.jobId, told.payer, told.output, told.printed, told.reason, told.refund) = client.told();
    }

    /// @dev What must hold after all: nobody is owed more than there is.
    function _assertCovered(uint256 owed, uint256 free) private view {
        assertEq(client.owed(asker), owed, "owed");
        assertEq(market.balanceOf(address(client)), owed + free, "in the market");
        assertEq(address(client).balance, 0, "nothing outside of it");
    }

    // ------------------------------------------------------------------------------------------------------------
    // Deployment and terms
    // ------------------------------------------------------------------------------------------------------------

    function test_RevertWhen_NoCallbackWouldCome() external {
        uint32[2] memory wrong = [uint32(0), 2300];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(LotaClient.NoCallback.selector, wrong[i]));
            new TestClient(market, wrong[i]);
            ILotaMarket.Terms memory terms = client.terms(1 ether);
            terms.callbackGas = wrong[i];
            vm.expectRevert(abi.encodeWithSelector(LotaClient.NoCallback.selector, wrong[i]));
            client.openJob(terms, SPEC, asker, 0);
        }
    }

    function test_RevertWhen_TheMarketDoesNotPromiseSoMuchGas() external {
        new TestClient(market, MAX_CALLBACK_GAS);
        vm.expectRevert(
            abi.encodeWithSelector(LotaClient.CallbackGasTooHigh.selector, MAX_CALLBACK_GAS + 1, MAX_CALLBACK_GAS)
        );
        new TestClient(market, MAX_CALLBACK_GAS + 1);
    }

    function test_RevertWhen_TheMarketIsNone() external {
        vm.expectRevert();
        new TestClient(ILotaMarket(stranger), 500_000);
    }

    function test_TermsByDefault() external view {
        ILotaMarket.Terms memory terms = client.terms(7 gwei);
        assertEq(terms.minPrice, 7 gwei);
        assertEq(terms.maxPrice, 7 gwei);
        assertEq(terms.rampStart, START);
        assertEq(terms.rampPeriod, 1);
        assertEq(terms.lockBy, START + 1 hours);
        assertEq(terms.runFor, 1 hours);
        assertEq(terms.collateral, 7 gwei);
        assertEq(terms.callbackGas, 500_000);
        assertEq(terms.reviewFor, 0);
        assertEq(terms.ruleFor, 0);
        assertEq(terms.arbiter, address(0), "unverified");
        assertEq(terms.matcher, address(0));
        assertFalse(terms.keepRecord);
    }

    /// @dev An ERC-1167 clone: no constructor ran for its storage.
    function test_ItWorksBehindAProxy() external {
        bytes memory creation = abi.encodePacked(
            hex"3d602d80600a3d3981f3363d3d373d3d3d363d73", address(client), hex"5af43d82803e903d91602b57fd5bf3"
        );
        address clone;
        assembly ("memory-safe") {
            clone := create(0, add(creation, 0x20), mload(creation))
        }
        client = TestClient(clone);
        ILotaMarket.Terms memory terms = _open(_odd(), asker);
        assertEq(terms.client, clone);
        _run(terms, _result("42"));
        assertEq(client.results(), 1);
        client.cancel(_open(_odd(), asker));
        _assertCovered(1 ether + 1 gwei, 0);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Opening
    // ------------------------------------------------------------------------------------------------------------

    function test_TheJobIsOpenedAsTheTermsSay() external {
        ILotaMarket.Terms memory with = client.terms(1 ether);
        with.client = stranger; // what is not the author's to choose is overwritten
        with.salt = 99;
        vm.recordLogs();
        vm.prank(asker);
        bytes32 jobId = client.openJob{value: 1 ether}(with, SPEC, asker, 1 ether);
        (ILotaMarket.Terms memory terms, string memory spec) = _opened();
        assertEq(market.jobIdOf(terms), jobId);
        assertEq(spec, string(SPEC));
        assertEq(terms.spec, sha256(SPEC));
        assertEq(terms.specCodec, 0x55);
        assertEq(terms.client, address(client));
        assertEq(terms.salt, 0);
        assertEq(market.balanceOf(address(client)), 0, "all of it is in escrow");
    }

    function test_ASpecThatWasPublishedNeedNotComeAlong() external {
        ILotaMarket.Terms memory with = client.terms(1 ether);
        (with.spec, with.specCodec) = (keccak256("published"), 0x71);
        vm.recordLogs();
        vm.prank(asker);
        client.openJob{value: 1 ether}(with, "", asker, 1 ether);
        (ILotaMarket.Terms memory terms, string memory spec) = _opened();
        assertEq(terms.spec, keccak256("published"));
        assertEq(terms.specCodec, 0x71);
        assertEq(spec, "");
    }

    /// @dev A lane's window has 64 numbers: this goes on past it.
    function test_SaltsCountUpInLaneZero() external {
        for (uint256 i = 0; i < 130; ++i) {
            assertEq(_open(client.terms(1 gwei), asker).salt, i);
        }
        assertEq(market.nextSalt(address(client), 0), 130);
    }

    /// @dev A job that was not opened has spent nothing.
    function test_SaltsHaveNoGapsAfterARefusal() external {
        ILotaMarket.Terms memory with = client.terms(1 gwei);
        with.runFor = 1;
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadTerms.selector, ILotaMarket.TermsFault.RunFor));
        client.openJob(with, SPEC, asker, 0);
        assertEq(_open(client.terms(1 gwei), asker).salt, 0);
    }

    function test_RevertWhen_NobodyPays() external {
        ILotaMarket.Terms memory terms = client.terms(1 ether);
        vm.expectRevert(LotaClient.NoPayer.selector);
        client.openJob(terms, SPEC, address(0), 0);
    }

    function test_RevertWhen_ThePriceIsNotWholeQuanta() external {
        ILotaMarket.Terms memory terms = client.terms(1 gwei + 1);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadTerms.selector, ILotaMarket.TermsFault.NotWholeQuanta));
        vm.prank(asker);
        client.openJob{value: 1 gwei + 1}(terms, SPEC, asker, 1 gwei + 1);
    }

    function test_WhatIsFreePaysForJobs() external {
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        market.deposit{value: 1 ether}(address(client));
        ILotaMarket.Terms memory terms = client.terms(1 ether);
        client.openJob(terms, SPEC, address(client), 0);
        _assertCovered(0, 0);
    }

    function test_ValueAndWhatIsFreePayTogether() external {
        vm.startPrank(asker);
        market.deposit{value: 0.4 ether}(address(client));
        client.openJob{value: 0.6 ether}(client.terms(1 ether), SPEC, asker, 0.6 ether);
        _assertCovered(0, 0);
    }

    /// @dev An author who takes too little for a job does not pay for it with other people's refunds.
    function test_RevertWhen_AJobWouldBePaidWithWhatOthersAreOwed() external {
        ILotaMarket.Terms memory failed = _open(client.terms(1 ether), asker);
        client.cancel(failed);
        _assertCovered(1 ether, 0);
        ILotaMarket.Terms memory terms = client.terms(1 ether);
        vm.expectRevert(abi.encodeWithSelector(LotaClient.NotCovered.selector, 0, 1 ether));
        client.openJob(terms, SPEC, stranger, 0);
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(LotaClient.NotCovered.selector, 1 ether - 1 gwei, 1 ether));
        client.openJob{value: 1 ether - 1 gwei}(terms, SPEC, stranger, 1 ether - 1 gwei);
        vm.prank(stranger);
        client.openJob{value: 1 ether}(terms, SPEC, stranger, 1 ether);
        _assertCovered(1 ether, 0);
    }

    function test_RevertWhen_AStrangerOpensAJobInItsName() external {
        ILotaMarket.Terms memory terms = client.terms(1 ether);
        (terms.client, terms.specCodec) = (address(client), 0x55);
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongSender.selector, stranger, address(client)));
        market.open(terms, "");
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, address(client)));
        market.openSigned(terms, "", new bytes(65));
    }

    // ------------------------------------------------------------------------------------------------------------
    // Callbacks
    // ------------------------------------------------------------------------------------------------------------

    function test_AResultIsTold() external {
        ILotaMarket.Terms memory terms = _open(_odd(), asker);
        _run(terms, _result("42"));
        TestClient.Told memory told = _told();
        assertEq(client.results(), 1);
        assertEq(told.jobId, market.jobIdOf(terms));
        assertEq(told.payer, asker);
        assertEq(told.output, keccak256("output"));
        assertEq(told.printed, "42");
        _assertCovered(0, 0);
        _assertEnded(terms);
    }

    function test_RevertWhen_AStrangerCallsBack() external {
        bytes32 jobId = market.jobIdOf(_open(_odd(), asker));
        bytes memory refused = abi.encodeWithSelector(LotaClient.NotTheMarket.selector, provider);
        vm.startPrank(provider);
        vm.expectRevert(refused);
        client.onJobResult(jobId, _result("42"));
        vm.expectRevert(refused);
        client.onJobFailed(jobId, ILotaMarket.Reason.Withdrawn);
        assertEq(client.results() + client.failures(), 0);
    }

    /// @dev The market never does that; were it to, no hook runs and nobody is owed anything.
    function test_RevertWhen_TheJobIsAnotherClients() external {
        TestClient other = new TestClient(market, 500_000);
        vm.recordLogs();
        vm.prank(asker);
        bytes32 jobId = other.openJob{value: 1 ether}(client.terms(1 ether), SPEC, asker, 1 ether);
        bytes memory refused = abi.encodeWithSelector(LotaClient.NotPending.selector, jobId);
        vm.startPrank(address(market));
        vm.expectRevert(refused);
        client.onJobResult(jobId, _result("42"));
        vm.expectRevert(refused);
        client.onJobFailed(jobId, ILotaMarket.Reason.Withdrawn);
        assertEq(client.owed(asker), 0);
    }

    function test_RevertWhen_TheJobWasCalledBackBefore() external {
        ILotaMarket.Terms memory terms = _open(_odd(), asker);
        bytes32 jobId = market.jobIdOf(terms);
        client.cancel(terms);
        assertEq(client.failures(), 1);
        bytes memory refused = abi.encodeWithSelector(LotaClient.NotPending.selector, jobId);
        vm.startPrank(address(market));
        vm.expectRevert(refused);
        client.onJobFailed(jobId, ILotaMarket.Reason.Withdrawn);
        vm.expectRevert(refused);
        client.onJobResult(jobId, _result("42"));
        assertEq(client.owed(asker), 1 ether + 1 gwei);
    }

    /// @dev A hook that reverts is called again, and then once.
    function test_AHookThatRevertedIsRepeated() external {
        ILotaMarket.Terms memory terms = _open(_odd(), asker);
        client.setReverting(true);
        ILotaMarket.Receipt memory receipt = _run(terms, _result("42"));
        _assertPending(terms);
        assertEq(client.results(), 0);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.CallbackReverted.selector, market.jobIdOf(terms)));
        market.retryCallback(terms, receipt);
        client.setReverting(false);
        market.retryCallback(terms, receipt);
        assertEq(client.results(), 1);
        assertEq(_told().payer, asker);
        _assertEnded(terms);
    }

    function test_ARefundIsOwedOnceHoweverOftenTheHookReverted() external {
        ILotaMarket.Terms memory terms = _open(_odd(), asker);
        client.setReverting(true);
        client.cancel(terms);
        _assertPending(terms);
        assertEq(client.owed(asker), 0);
        client.setReverting(false);
        ILotaMarket.Receipt memory none;
        market.retryCallback(terms, none);
        _assertCovered(1 ether + 1 gwei, 0);
        vm.expectRevert();
        market.retryCallback(terms, none);
    }

    /// @dev From within a hook: a job can be opened, the money cannot leave.
    function test_FromWithinAHookJobsAreOpenedAndNothingIsPaidOut() external {
        vm.prank(asker);
        market.deposit{value: 1 ether}(address(client));
        ILotaMarket.Terms memory more = client.terms(0.5 ether);
        client.setAttempt(abi.encodeCall(client.openJob, (more, SPEC, asker, 0)));
        client.setAttempt(abi.encodeCall(client.payOut, (stranger, 0.5 ether)));
        client.setAttempt(abi.encodeCall(client.withdraw, ()));
        ILotaMarket.Terms memory terms = _open(_odd(), asker);
        _run(terms, _result("42"));
        assertEq(client.answers(0), bytes4(0));
        assertEq(client.answers(1), ILotaMarket.Reentered.selector);
        assertEq(client.answers(2), ILotaMarket.Reentered.selector);
        assertEq(market.balanceOf(address(client)), 0.5 ether);
        assertEq(market.nextSalt(address(client), 0), 2);
    }

    /// @dev An acceptance calls the market, which calls back, in the midst of a call of the client's.
    function test_TheClientAcceptsAndIsCalledBackMeanwhile() external {
        ILotaMarket.Terms memory terms = _open(_withArbiter(), asker);
        ILotaMarket.Receipt memory receipt = _run(terms, _result("42"));
        assertEq(client.results(), 0);
        client.accept(terms, receipt);
        assertEq(client.results(), 1);
        _assertCovered(0, 0);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Refunds, for each way in which a job can fail
    // ------------------------------------------------------------------------------------------------------------

    function _assertFailed(ILotaMarket.Terms memory terms, ILotaMarket.Reason reason, uint256 refund) private {
        TestClient.Told memory told = _told();
        assertEq(client.failures(), 1);
        assertEq(told.jobId, market.jobIdOf(terms));
        assertEq(told.payer, asker);
        assertEq(uint256(told.reason), uint256(reason));
        assertEq(told.refund, refund);
        _assertCovered(refund, 0);
        uint256 before = asker.balance;
        vm.startPrank(asker);
        client.withdraw();
        assertEq(asker.balance, before + refund);
        _assertCovered(0, 0);
        client.withdraw(); // once more: nothing
        vm.stopPrank();
        assertEq(asker.balance, before + refund);
        _assertEnded(terms);
    }

    function test_RefundWhenWithdrawn() external {
        ILotaMarket.Terms memory terms = _open(_odd(), asker);
        client.cancel(terms);
        _assertFailed(terms, ILotaMarket.Reason.Withdrawn, 1 ether + 1 gwei);
    }

    function test_RefundWhenNotLocked() external {
        ILotaMarket.Terms memory terms = _open(_odd(), asker);
        vm.warp(terms.lockBy + 1);
        market.expire(terms);
        _assertFailed(terms, ILotaMarket.Reason.NotLocked, 1 ether + 1 gwei);
    }

    function test_RefundWhenNotSubmitted() external {
        ILotaMarket.Terms memory terms = _open(_odd(), asker);
        _lock(terms);
        vm.warp(block.timestamp + terms.runFor + 1);
        market.expire(terms);
        _assertFailed(terms, ILotaMarket.Reason.NotSubmitted, 2.5 ether + 2.5 gwei);
    }

    function test_RefundWhenGivenUp() external {
        ILotaMarket.Terms memory terms = _open(_odd(), asker);
        vm.startPrank(provider);
        market.lock(terms);
        market.giveUp(terms);
        vm.stopPrank();
        _assertFailed(terms, ILotaMarket.Reason.NotSubmitted, 2.5 ether + 2.5 gwei);
    }

    function test_RefundWhenOverturned() external {
        ILotaMarket.Terms memory terms = _ruled(ILotaMarket.Verdict.Overturned);
        _assertFailed(terms, ILotaMarket.Reason.Overturned, 2.5 ether + 2.5 gwei);
    }

    function test_RefundWhenUndecided() external {
        _assertFailed(_ruled(ILotaMarket.Verdict.Void), ILotaMarket.Reason.Undecided, 1 ether + 1 gwei);
    }

    function test_RefundWhenNotRuled() external {
        ILotaMarket.Terms memory terms = _open(_withArbiter(), asker);
        ILotaMarket.Receipt memory receipt = _run(terms, _result("no"));
        vm.prank(arbiter);
        market.dispute(terms);
        vm.warp(block.timestamp + terms.ruleFor + 1);
        market.lapse(terms, receipt);
        _assertFailed(terms, ILotaMarket.Reason.NotRuled, 1 ether + 1 gwei);
    }

    function test_NoRefundWhenUpheld() external {
        _ruled(ILotaMarket.Verdict.Upheld);
        assertEq(client.results(), 1);
        _assertCovered(0, 0);
    }

    function _ruled(ILotaMarket.Verdict verdict) private returns (ILotaMarket.Terms memory terms) {
        terms = _open(_withArbiter(), asker);
        ILotaMarket.Receipt memory receipt = _run(terms, _result("no"));
        vm.startPrank(arbiter);
        market.dispute(terms);
        market.rule(terms, receipt, verdict);
        vm.stopPrank();
    }

    function test_WhatAJobOfItsOwnGivesBackIsFree() external {
        ILotaMarket.Terms memory terms = _open(_odd(), address(client));
        client.cancel(terms);
        assertEq(_told().refund, 1 ether + 1 gwei);
        assertEq(client.owed(address(client)), 0);
        _assertCovered(0, 1 ether + 1 gwei);
        client.payOut(stranger, 1 ether + 1 gwei);
        assertEq(stranger.balance, 1 ether + 1 gwei);
        _assertCovered(0, 0);
    }

    /// @dev Locked for half of maxPrice: the other half came back when it was locked, and the refund is all of it.
    function test_ARisingPriceIsRefundedWholeAndLeavesWhatItSaved() external {
        ILotaMarket.Terms memory with = client.terms(2 ether);
        (with.minPrice, with.rampPeriod, with.collateral) = (0, 1000, 1 ether);
        ILotaMarket.Terms memory first = _open(with, asker);
        ILotaMarket.Terms memory second = _open(with, asker);
        vm.warp(START + 500);
        _run(first, _result("42"));
        _assertCovered(0, 1 ether);
        vm.startPrank(provider);
        market.lock(second);
        market.giveUp(second);
        vm.stopPrank();
        _assertCovered(2.5 ether, 1 ether);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Money
    // ------------------------------------------------------------------------------------------------------------

    function test_ARefundCannotBeFetchedAgainWhileItIsPaid() external {
        GreedyPayee greedy = new GreedyPayee(client);
        ILotaMarket.Terms memory with = client.terms(1 ether);
        vm.recordLogs();
        vm.prank(asker);
        greedy.open{value: 1 ether}(with);
        (ILotaMarket.Terms memory terms,) = _opened();
        client.cancel(_open(with, asker)); // somebody else's money lies there, too
        client.cancel(terms);
        greedy.fetch();
        assertEq(greedy.answer(), ILotaMarket.Reentered.selector);
        assertEq(address(greedy).balance, 1 ether);
        _assertCovered(1 ether, 0);
    }

    function test_ARefundGoesWhereItsOwnerSays() external {
        client.cancel(_open(_odd(), asker));
        vm.prank(asker);
        client.withdrawTo(stranger);
        assertEq(stranger.balance, 1 ether + 1 gwei);
        vm.prank(stranger);
        client.withdraw();
        assertEq(stranger.balance, 1 ether + 1 gwei);
        _assertCovered(0, 0);
    }

    function test_ARefundThatIsNotTakenStays() external {
        client.cancel(_open(_odd(), asker));
        vm.prank(asker);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, address(this)));
        client.withdrawTo(address(this)); // takes no money
        _assertCovered(1 ether + 1 gwei, 0);
    }

    function test_ValueIsCollected() external {
        vm.startPrank(asker);
        client.collect{value: 1 ether}(1 ether);
        _assertCovered(0, 1 ether);
        client.collect(0);
        vm.expectRevert(abi.encodeWithSelector(LotaClient.WrongValue.selector, 1 ether, 2 ether));
        client.collect{value: 1 ether}(2 ether);
        vm.expectRevert(abi.encodeWithSelector(LotaClient.WrongValue.selector, 0, 1 ether));
        client.collect(1 ether);
    }

    function test_OnlyWhatIsFreeIsCreditedOrPaidOut() external {
        vm.prank(asker);
        client.collect{value: 3 ether}(3 ether);
        client.credit(asker, 1 ether);
        _assertCovered(1 ether, 2 ether);
        uint256[2] memory tooMuch = [uint256(2 ether + 1), 4 ether];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(LotaClient.NotCovered.selector, 3 ether, 1 ether));
            client.credit(stranger, tooMuch[i]);
            vm.expectRevert(abi.encodeWithSelector(LotaClient.NotCovered.selector, 3 ether, 1 ether));
            client.payOut(stranger, tooMuch[i]);
        }
        client.payOut(stranger, 2 ether);
        _assertCovered(1 ether, 0);
        vm.prank(asker);
        client.withdraw();
        _assertCovered(0, 0);
    }

    /// @dev Whatever happens in whatever order, the market holds what is owed, and all of it can be fetched.
    function testFuzz_WhatIsOwedIsThere(uint256 seed) external {
        address[3] memory payers = [asker, stranger, address(client)];
        vm.deal(stranger, 1000 ether);
        ILotaMarket.Terms[] memory jobs = new ILotaMarket.Terms[](40);
        for (uint256 i = 0; i < 40; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            address payer = payers[seed % 3];
            ILotaMarket.Terms memory with = client.terms((seed >> 8) % 1e9 * 1 gwei);
            with.collateral = (seed >> 40) % 1e9 * 1 gwei;
            if (seed >> 80 & 1 == 1) (with.minPrice, with.rampPeriod) = (0, 100);
            jobs[i] = _open(with, payer);
            vm.warp(block.timestamp + (seed >> 96) % 60);
            // One of those that are still to be ended, or this again: then nothing happens.
            _end(jobs[(seed >> 128) % (i + 1)], (seed >> 160) % 4);
            if (seed >> 192 & 3 == 0) {
                vm.prank(payers[(seed >> 200) % 2]);
                client.withdraw();
            }
            uint256 owed = client.owed(asker) + client.owed(stranger);
            assertGe(market.balanceOf(address(client)), owed);
        }
        for (uint256 i = 0; i < 2; ++i) {
            uint256 before = payers[i].balance;
            uint256 owed = client.owed(payers[i]);
            vm.prank(payers[i]);
            client.withdraw();
            assertEq(payers[i].balance, before + owed);
        }
        client.payOut(stranger, market.balanceOf(address(client))); // the rest is free
    }

    function _end(ILotaMarket.Terms memory terms, uint256 how) private {
        if (market.dealOf(market.jobIdOf(terms)).status != ILotaMarket.Status.Open) return;
        if (how == 0) {
            client.cancel(terms);
        } else if (how == 1) {
            _run(terms, _result("42"));
        } else if (how == 2) {
            vm.startPrank(provider);
            market.lock(terms);
            market.giveUp(terms);
            vm.stopPrank();
        }
    }
}
