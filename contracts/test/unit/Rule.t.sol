// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Eip712} from "../base/Eip712.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract RuleTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private view returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.rule, (t, _receipt(), ILotaMarket.Verdict.Upheld));
    }

    function _rule(ILotaMarket.Terms memory t, ILotaMarket.Verdict verdict) private {
        vm.prank(t.arbiter);
        market.rule(t, _receipt(), verdict);
    }

    function _assertKept(ILotaMarket.Terms memory t, ILotaMarket.Status status, ILotaMarket.Reason reason)
        private
        view
    {
        assertEq(
            abi.encode(market.dealOf(_jobId(t))),
            abi.encode(ILotaMarket.Deal(status, reason, false, 0, address(0), 0, _kept(t, _receipt())))
        );
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_terms());
        _rule(_terms(), ILotaMarket.Verdict.Upheld);
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Disputed), arbiter.addr, _terms(), _call);
    }

    function test_RevertWhen_TheSenderIsNotTheArbiter() external {
        _dispute(_terms());
        _expectWrongSender(client.addr, arbiter.addr);
        vm.prank(client.addr);
        market.rule(_terms(), _receipt(), ILotaMarket.Verdict.Overturned);
    }

    function test_RevertWhen_TheRulingWindowHasPassed() external {
        _dispute(_terms());
        vm.warp(START + 4 hours + 1);
        _expectTooLate(START + 4 hours + 1, START + 4 hours);
        _rule(_terms(), ILotaMarket.Verdict.Upheld);
    }

    function test_RevertWhen_TheReceiptIsAnother() external {
        _dispute(_terms());
        ILotaMarket.Receipt memory other = _receipt();
        other.price = 2 ether;
        for (uint256 i = 0; i <= uint256(type(ILotaMarket.Verdict).max); ++i) {
            _expectMismatch(_terms());
            vm.prank(arbiter.addr);
            market.rule(_terms(), other, ILotaMarket.Verdict(i));
        }
    }

    function test_RevertWhen_ThereIsNoSuchVerdict() external {
        _dispute(_terms());
        bytes memory data = abi.encodeWithSelector(ILotaMarket.rule.selector, _terms(), _receipt(), uint256(3));
        vm.prank(arbiter.addr);
        (bool success, bytes memory why) = address(market).call(data);
        assertFalse(success);
        assertEq(why.length, 0);
    }

    function test_WhenTheResultIsUpheld() external {
        ILotaMarket.Terms memory t = _terms();
        _dispute(t);
        vm.warp(START + 4 hours);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobSettled(_jobId(t), provider.addr, 1.1 ether, ILotaMarket.Reason.Upheld);
        _rule(t, ILotaMarket.Verdict.Upheld);
        _assertBalances(FUNDS - 1.1 ether, FUNDS + 1.1 ether);
        _assertKept(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Upheld);
    }

    /// @dev The fault of a predecessor: the wrong party's collateral refunded.
    function test_WhenTheResultIsOverturned() external {
        ILotaMarket.Terms memory t = _terms();
        t.collateral = 3 ether + 1 gwei;
        _dispute(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobSlashed(
            _jobId(t), provider.addr, 2.6 ether + 0.5 gwei, 1.5 ether + 0.5 gwei, 0, ILotaMarket.Reason.Overturned
        );
        _rule(t, ILotaMarket.Verdict.Overturned);
        _assertBalances(FUNDS + 1.5 ether + 0.5 gwei, FUNDS - 3 ether - 1 gwei);
        assertEq(market.balanceOf(arbiter.addr), FUNDS + 1.5 ether + 0.5 gwei);
        assertEq(market.burned(), 0);
        _assertKept(t, ILotaMarket.Status.Slashed, ILotaMarket.Reason.Overturned);
    }

    function test_WhenTheArbiterIsTheClient() external {
        ILotaMarket.Terms memory t = _terms();
        t.arbiter = client.addr;
        _dispute(t);
        _rule(t, ILotaMarket.Verdict.Overturned);
        _assertBalances(FUNDS + 3 ether, FUNDS - 3 ether);
    }

    function test_WhenTheArbiterCannotDecide() external {
        ILotaMarket.Terms memory t = _terms();
        _dispute(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobVoided(_jobId(t), provider.addr, 1.1 ether, ILotaMarket.Reason.Undecided);
        _rule(t, ILotaMarket.Verdict.Void);
        _assertBalances(FUNDS, FUNDS);
        _assertKept(t, ILotaMarket.Status.Void, ILotaMarket.Reason.Undecided);
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _terms();
        ILotaMarket.Receipt memory other = _receipt();
        other.price = 0;
        _expectUnknown(t);
        market.rule(t, other, ILotaMarket.Verdict.Void);
        _submit(t);
        _expectWrongState(t, ILotaMarket.Status.Submitted);
        market.rule(t, other, ILotaMarket.Verdict.Void);
        vm.prank(arbiter.addr);
        market.dispute(t);
        vm.warp(START + 1 days);
        _expectWrongSender(address(this), arbiter.addr);
        market.rule(t, other, ILotaMarket.Verdict.Void);
        vm.startPrank(arbiter.addr);
        _expectTooLate(START + 1 days, START + 4 hours);
        market.rule(t, other, ILotaMarket.Verdict.Void);
        vm.warp(START);
        _expectMismatch(t);
        market.rule(t, other, ILotaMarket.Verdict.Void);
    }
}
