// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Rails} from "../../../src/abstracts/Rails.sol";
import {Granter} from "../../../src/abstracts/Granter.sol";
import {FilecoinPayGranter} from "../../../src/granters/FilecoinPayGranter.sol";
import {IFilecoinPay, IRailValidator} from "../../../src/interfaces/IFilecoinPay.sol";
import {Grant} from "../../../src/interfaces/IGranter.sol";
import {FilecoinPayTest} from "../../base/FilecoinPayTest.sol";
import {GranterTest} from "../../base/GranterTest.sol";

contract FilecoinPayGranterTest is GranterTest, FilecoinPayTest {
    uint256 private constant FUNDS = 1000e6;
    uint256 private constant ALLOWANCE = 400e6;

    address private sponsor = makeAddr("sponsor");
    address private payee = makeAddr("payee");
    FilecoinPayGranter private granter;

    function setUp() external {
        _deployFilecoinPay();
        granter = _deploy(address(dollar));
        _depositPay(address(dollar), sponsor, FUNDS);
        _approve(address(dollar), sponsor, address(granter), ALLOWANCE);
    }

    function _deploy(address token) private returns (FilecoinPayGranter) {
        return FilecoinPayGranter(
            deployCode(
                "FilecoinPayGranter.sol:FilecoinPayGranter",
                abi.encode(blessing, filecoinPay, token, sponsor, EPOCH, GRACE)
            )
        );
    }

    function _to(address account, uint256 amount) private view returns (Grant memory) {
        return _grant(_evm(account), amount);
    }

    function _rail(address to) private view returns (uint256) {
        return granter.railOf(sponsor, to);
    }

    function _list(uint256 a) private pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = a;
    }

    function _pay(address to) private {
        granter.pay(_list(_rail(to)));
    }

    function _terminate(address to) private {
        uint256 railId = _rail(to);
        vm.prank(sponsor);
        filecoinPay.terminateRail(railId);
    }

    function _assertPromised(address to, uint256 needed, uint256 due) private view {
        (uint256 foundNeeded, uint256 foundDue) = granter.promised(_rail(to));
        assertEq(foundNeeded, needed, "needed");
        assertEq(foundDue, due, "due");
        if (needed != 0) assertEq(filecoinPay.getRail(_rail(to)).lockupFixed, needed, "fixed lockup");
    }

    function _assertFunds(address token, address owner, uint256 funds, uint256 locked) private view {
        (uint256 foundFunds, uint256 foundLocked) = _funds(token, owner);
        assertEq(foundFunds, funds, "funds");
        assertEq(foundLocked, locked, "locked");
    }

    // ------------------------------------------------------------------------------------------------------------

    function test_RevertWhen_ItIsDeployedWithoutABlessingASponsorOrFilecoinPay() external {
        vm.expectRevert(Granter.NoBlessing.selector);
        new FilecoinPayGranter(address(0), filecoinPay, address(0), sponsor, EPOCH, GRACE);
        vm.expectRevert(FilecoinPayGranter.NoSponsor.selector);
        new FilecoinPayGranter(blessing, filecoinPay, address(0), address(0), EPOCH, GRACE);
        vm.expectRevert(Rails.BadRailSettings.selector);
        new FilecoinPayGranter(blessing, IFilecoinPay(address(1)), address(0), sponsor, EPOCH, GRACE);
        vm.expectRevert(Rails.BadRailSettings.selector);
        new FilecoinPayGranter(blessing, filecoinPay, address(0), sponsor, 0, GRACE);
        vm.expectRevert(Rails.BadRailSettings.selector);
        new FilecoinPayGranter(blessing, filecoinPay, address(0), sponsor, EPOCH, 365 days + 1);
    }

    function test_RevertWhen_TheSenderIsNotTheBlessingContract() external {
        _refusesStrangers(granter, _evm(payee), 1);
    }

    function test_WhenTheRecipientCannotBePaid() external {
        _refusesRecipients(granter, _malformed(), 1);
        _refusesRecipients(granter, _filecoinOnly(), 1);
        _refuses(granter, _evm(sponsor), 1, abi.encodeWithSelector(Rails.BadPair.selector, sponsor, sponsor));
        _refuses(granter, _evm(payee), 0, abi.encodeWithSelector(Rails.AmountOutOfRange.selector, 0));
        _refuses(granter, _evm(payee), 1 << 128, abi.encodeWithSelector(Rails.AmountOutOfRange.selector, 1 << 128));
    }

    function test_WhenItIsTheFirstGrantToARecipient() external {
        Grant memory g = _to(payee, 100e6);
        granter.checkGrant(provider, g.recipient, g.amount);
        vm.expectEmit(address(granter));
        emit Rails.RailOpened(1, sponsor, payee);
        vm.expectEmit(address(granter));
        emit FilecoinPayGranter.GrantLocked(g.jobId, 1, 100e6);
        _expectGranted(granter, g);
        _make(granter, g);

        IFilecoinPay.RailView memory rail = filecoinPay.getRail(1);
        assertEq(rail.token, address(dollar));
        assertEq(rail.from, sponsor);
        assertEq(rail.to, payee);
        assertEq(rail.operator, address(granter));
        assertEq(rail.validator, address(granter));
        assertEq(rail.paymentRate, 0);
        assertEq(rail.commissionRateBps, 0);
        assertEq(rail.lockupPeriod, GRACE_PERIOD);
        assertEq(granter.lockupPeriod(), GRACE_PERIOD);
        _assertPromised(payee, 100e6, 100e6);
        _assertFunds(address(dollar), sponsor, FUNDS, 100e6);
        _assertFunds(address(dollar), payee, 0, 0);
    }

    function test_WhenThereWereGrantsToTheRecipientBefore() external {
        _make(granter, _grant(1, _evm(payee), 100e6));
        vm.roll(block.number + 100);
        _make(granter, _grant(2, _f410(payee), 50e6));
        assertEq(_rail(payee), 1);
        _assertPromised(payee, 150e6, 150e6);
        vm.expectEmit(address(granter));
        emit Rails.RailPaid(1, 150e6);
        vm.prank(makeAddr("stranger"));
        granter.pay(_list(1));
        _assertPromised(payee, 0, 0);
        _assertFunds(address(dollar), sponsor, FUNDS - 150e6, 0);
        _assertFunds(address(dollar), payee, _net(150e6), 0);

        granter.pay(_list(1)); // nothing is due
        _assertFunds(address(dollar), payee, _net(150e6), 0);
        _make(granter, _grant(3, _evm(payee), 7));
        _pay(payee);
        _assertFunds(address(dollar), payee, _net(150e6) + _net(7), 0);
        vm.prank(payee);
        filecoinPay.withdraw(address(dollar), _net(150e6));
        assertEq(dollar.balanceOf(payee), _net(150e6));
    }

    function test_WhenManyRecipientsArePaidAtOnce() external {
        uint256[] memory rails = new uint256[](32);
        for (uint256 i = 0; i < 32; ++i) {
            _make(granter, _grant(i, _evm(vm.addr(i + 1)), 1e6 + i));
            rails[i] = _rail(vm.addr(i + 1));
        }
        granter.pay(rails);
        for (uint256 i = 0; i < 32; ++i) {
            _assertFunds(address(dollar), vm.addr(i + 1), _net(1e6 + i), 0);
        }
        (, uint256 locked) = _funds(address(dollar), sponsor);
        assertEq(locked, 0);
    }

    function test_WhenTheTokenIsTheChainsCoin() external {
        FilecoinPayGranter inCoin = _deploy(address(0));
        _depositPay(address(0), sponsor, 10 ether);
        _approve(address(0), sponsor, address(inCoin), 10 ether);
        uint256 burned = address(0xff00000000000000000000000000000000000063).balance;
        _make(inCoin, _to(payee, 2 ether));
        inCoin.pay(_list(inCoin.railOf(sponsor, payee)));
        _assertFunds(address(0), payee, 1.99 ether, 0);
        _assertFunds(address(0), sponsor, 8 ether, 0);
        assertEq(address(0xff00000000000000000000000000000000000063).balance - burned, 0.01 ether, "the fee is burned");
    }

    // ------------------------------------------------------------------------------------------------------------

    function test_WhenTheSponsorHasNotApproved() external {
        bytes memory why = abi.encodeWithSelector(Rails.OperatorNotApproved.selector, sponsor);
        _approve(address(dollar), sponsor, address(granter), false, ALLOWANCE, GRACE_PERIOD);
        _refuses(granter, _evm(payee), 1e6, why);
        _approve(address(dollar), sponsor, address(granter), true, ALLOWANCE, GRACE_PERIOD);
        _make(granter, _to(payee, 1e6));
        // Filecoin Pay itself would go on with a rail that there is.
        _approve(address(dollar), sponsor, address(granter), false, ALLOWANCE, GRACE_PERIOD);
        _refuses(granter, _evm(payee), 1e6, why);
        _pay(payee); // what was promised is paid
        _assertFunds(address(dollar), payee, _net(1e6), 0);
    }

    function test_WhenTheAllowanceIsTooSmall() external {
        bytes memory why = abi.encodeWithSelector(Rails.AllowanceTooSmall.selector, sponsor, ALLOWANCE, ALLOWANCE + 1);
        _refuses(granter, _evm(payee), ALLOWANCE + 1, why);
        _make(granter, _to(payee, ALLOWANCE));
        _pay(payee);
        // Payments use it up for good.
        _refuses(granter, _evm(payee), 1, abi.encodeWithSelector(Rails.AllowanceTooSmall.selector, sponsor, 0, 1));
        _approve(address(dollar), sponsor, address(granter), 1);
        _make(granter, _to(payee, 1));
        _approve(address(dollar), sponsor, address(granter), 0);
        _refuses(granter, _evm(payee), 1, abi.encodeWithSelector(Rails.AllowanceTooSmall.selector, sponsor, 0, 1));
    }

    function test_WhenMoneyMayNotBeLockedLongEnough() external {
        _approve(address(dollar), sponsor, address(granter), true, ALLOWANCE, GRACE_PERIOD - 1);
        bytes memory why =
            abi.encodeWithSelector(Rails.LockupPeriodTooLong.selector, sponsor, GRACE_PERIOD - 1, GRACE_PERIOD);
        _refuses(granter, _evm(payee), 1e6, why);
        _approve(address(dollar), sponsor, address(granter), true, ALLOWANCE, GRACE_PERIOD);
        _make(granter, _to(payee, 1e6));
        // A rail that has the period keeps it.
        _approve(address(dollar), sponsor, address(granter), true, ALLOWANCE, 0);
        _make(granter, _grant(2, _evm(payee), 1e6));
    }

    function test_WhenTheAccountRunsDry() external {
        _approve(address(dollar), sponsor, address(granter), type(uint256).max);
        _make(granter, _to(payee, FUNDS - 5));
        bytes memory why = abi.encodeWithSelector(Rails.NotEnoughFunds.selector, sponsor, 5, 6);
        _refuses(granter, _evm(payee), 6, why);
        vm.prank(sponsor);
        filecoinPay.withdraw(address(dollar), 5); // all that it still can
        _refuses(granter, _evm(payee), 6, abi.encodeWithSelector(Rails.NotEnoughFunds.selector, sponsor, 0, 6));
        _depositPay(address(dollar), sponsor, 6);
        _make(granter, _grant(2, _evm(payee), 6));
        _pay(payee);
        _assertFunds(address(dollar), payee, _net(FUNDS + 1), 0);
    }

    function test_WhenTheAccountIsInDebtToOthers() external {
        _make(granter, _to(payee, 100e6));
        uint256 before = block.number;
        _putIntoDebt(address(dollar), sponsor);
        _refuses(granter, _evm(payee), 1, abi.encodeWithSelector(Rails.PayerInDebt.selector, sponsor, before + 2));
        _pay(payee); // what was promised is paid
        _assertFunds(address(dollar), payee, _net(100e6), 0);
        _depositPay(address(dollar), sponsor, 10 * FUNDS);
        _make(granter, _grant(2, _evm(payee), 1));
    }

    function test_WhenTheSponsorTerminatesTheRail() external {
        _make(granter, _to(payee, 100e6));
        uint256 end = block.number + GRACE_PERIOD;
        vm.expectEmit(address(granter));
        emit Rails.RailClosing(1, end);
        _terminate(payee);
        _refuses(granter, _evm(payee), 1e6, abi.encodeWithSelector(Rails.RailTerminated.selector, 1));
        // The sponsor cannot take back what was promised, and it can be paid until the rail's end.
        uint256 free = FUNDS - 100e6;
        vm.prank(sponsor);
        filecoinPay.withdraw(address(dollar), free);
        vm.roll(end - 1);
        _pay(payee);
        _assertFunds(address(dollar), payee, _net(100e6), 0);
    }

    function test_WhenARailHasEnded() external {
        _make(granter, _to(payee, 100e6));
        _terminate(payee);
        uint256 end = block.number + GRACE_PERIOD;
        vm.roll(end);
        bytes4 tooLate = IFilecoinPay.CannotModifyTerminatedRailBeyondEndEpoch.selector;
        vm.expectRevert(abi.encodeWithSelector(tooLate, 1, end, end));
        granter.pay(_list(1));
        filecoinPay.settleRail(1, end);
        vm.expectRevert(abi.encodeWithSelector(IFilecoinPay.RailInactiveOrSettled.selector, 1));
        granter.pay(_list(1));
        _assertFunds(address(dollar), sponsor, FUNDS, 0);
        _refuses(granter, _evm(payee), 1e6, abi.encodeWithSelector(Rails.RailTerminated.selector, 1));
    }

    function test_WhenTheSponsorRenewsATerminatedRail() external {
        vm.expectRevert(abi.encodeWithSelector(Rails.NoRail.selector, sponsor, payee));
        vm.prank(sponsor);
        granter.renewRail(payee);
        _make(granter, _to(payee, 100e6));
        vm.expectRevert(abi.encodeWithSelector(Rails.RailRuns.selector, 1));
        vm.prank(sponsor);
        granter.renewRail(payee);
        _terminate(payee);
        vm.expectRevert(abi.encodeWithSelector(Rails.NoRail.selector, address(this), payee));
        granter.renewRail(payee);
        vm.prank(sponsor);
        granter.renewRail(payee);
        _make(granter, _grant(2, _evm(payee), 50e6));
        assertEq(_rail(payee), 2);
        _assertPromised(payee, 50e6, 50e6);
        uint256[] memory both = new uint256[](2);
        (both[0], both[1]) = (1, 2);
        granter.pay(both);
        _assertFunds(address(dollar), payee, _net(100e6) + _net(50e6), 0);
    }

    function test_WhenFilecoinPayAsksTheValidator() external {
        IRailValidator.ValidationResult memory said = granter.validatePayment(1, 100, 5, 9, 25);
        assertEq(said.modifiedAmount, 0);
        assertEq(said.settleUpto, 9);
        vm.expectRevert(abi.encodeWithSelector(Rails.NotFilecoinPay.selector, address(this)));
        granter.railTerminated(1, sponsor, 9);
        _make(granter, _to(payee, 100e6));
        vm.roll(block.number + 10);
        filecoinPay.settleRail(1, block.number); // a rail without a rate pays nothing by time
        _assertFunds(address(dollar), payee, 0, 0);
        granter.release(1); // there is nothing to release
        _assertPromised(payee, 100e6, 100e6);
    }

    /// @dev Grants and payments in any order: what is locked is what is owed, and every payee gets its due.
    function testFuzz_WhatIsGrantedArrives(uint256 seed, uint8 steps) external {
        _depositPay(address(dollar), sponsor, type(uint64).max);
        _approve(address(dollar), sponsor, address(granter), type(uint256).max);
        uint256[3] memory owed;
        uint256[3] memory arrived;
        for (uint256 i = 0; i < steps % 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 who = seed % 3;
            address to = vm.addr(who + 1);
            vm.roll(block.number + (seed >> 32) % 1000);
            if ((seed >> 8) % 3 != 0) {
                uint256 amount = 1 + (seed >> 64) % 1e12;
                _make(granter, _grant(i, _evm(to), amount));
                owed[who] += amount;
            } else {
                _pay(to);
                arrived[who] += owed[who] == 0 ? 0 : _net(owed[who]);
                owed[who] = 0;
            }
            (uint256 funds,) = _funds(address(dollar), to);
            assertEq(funds, arrived[who]);
            _assertPromised(to, owed[who], owed[who]);
        }
        (, uint256 locked) = _funds(address(dollar), sponsor);
        assertEq(locked, owed[0] + owed[1] + owed[2]);
    }
}
