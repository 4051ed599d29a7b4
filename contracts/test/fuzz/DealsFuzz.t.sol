// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IFilecoinPay} from "../../src/interfaces/IFilecoinPay.sol";
import {IFilecoinPayDeals} from "../../src/interfaces/IFilecoinPayDeals.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {DealsTest} from "../base/DealsTest.sol";

/// @title DealsFuzzTest: what holds of jobs that are paid from Filecoin Pay accounts, whatever happens
/// @dev Two payers, two providers; jobs are opened, taken, and end in every way; rails are paid, released and terminated, and end,
/// accounts are emptied and filled again, approvals withdrawn, in any order. Prices are what the market's ramp says at a time that does not move.
contract DealsFuzzTest is DealsTest {
    struct Job {
        IFilecoinPayDeals.Order order;
        address provider;
        uint256 railId;
        uint256 price;
    }

    Job[] private _jobs; // taken, and not ended
    address[2] private _payers;
    address[2] private _providers;
    mapping(uint256 railId => uint256) private _running;
    mapping(uint256 railId => uint256) private _due;
    mapping(uint256 railId => uint256) private _lost; // due on rails that ended before anybody paid
    mapping(address payer => uint256) private _owed;
    mapping(address provider => uint256) private _arrived;
    uint256 private _next;
    uint256 private _taken;
    uint256 private _paid;

    function setUp() public override {
        super.setUp();
        _payers = [client.addr, stranger.addr];
        _providers = [provider.addr, matcher.addr];
        _depositPay(address(dollar), stranger.addr, PAY_FUNDS);
        for (uint256 i = 0; i < 2; ++i) {
            _approve(address(dollar), _payers[i], address(deals), type(uint256).max);
            vm.deal(_providers[i], 1000 ether);
        }
    }

    function _newJob(uint256 seed) private {
        address payer = _payers[seed % 2];
        address by = _providers[(seed >> 1) % 2];
        IFilecoinPayDeals.Order memory o = _order();
        o.terms.salt = uint256(uint160(payer)) << 64 | _next;
        o.payer = payer;
        (o.minPrice, o.maxPrice) = (1 + (seed >> 16) % 100e6, 200e6);
        o.terms.collateral = ((seed >> 64) % 3) * 1 gwei;
        if ((seed >> 8) % 2 == 0) (o.terms.arbiter, o.terms.reviewFor, o.terms.ruleFor) = (address(0), 0, 0);
        uint256 price = deals.priceAt(o, block.timestamp);
        vm.prank(payer);
        deals.open(o, "", "");
        ++_next;
        vm.prank(by);
        try deals.take{value: o.terms.collateral}(o) {
            uint256 railId = _rails().railOf(payer, by);
            _jobs.push(Job(o, by, railId, price));
            _running[railId] += price;
            ++_taken;
        } catch {
            vm.prank(payer);
            deals.cancel(o);
            _assertGone(o);
        }
    }

    function _endJob(uint256 seed) private {
        if (_jobs.length == 0) return;
        uint256 at = seed % _jobs.length;
        Job memory job = _jobs[at];
        _jobs[at] = _jobs[_jobs.length - 1];
        _jobs.pop();
        ILotaMarket.Terms memory t = job.order.terms;
        ILotaMarket.Receipt memory receipt = ILotaMarket.Receipt(job.provider, 0, _result());
        uint256 how = (seed >> 32) % 5;
        bool paid = how > 1;
        if (how == 0) {
            vm.prank(job.provider);
            market.giveUp(t);
        } else {
            vm.prank(job.provider);
            market.submitResult(t, _result());
            if (t.arbiter == address(0)) {
                paid = true;
            } else if (how == 1 || how == 2) {
                vm.startPrank(t.arbiter);
                market.dispute(t);
                market.rule(t, receipt, how == 1 ? ILotaMarket.Verdict.Overturned : ILotaMarket.Verdict.Upheld);
                vm.stopPrank();
            } else {
                vm.prank(job.order.payer);
                deals.accept(t, receipt);
            }
        }
        _running[job.railId] -= job.price;
        if (paid) _due[job.railId] += job.price;
        else _owed[job.order.payer] += t.collateral / 2;
        _assertGone(job.order);
    }

    function _payOne(uint256 railId, address to) private {
        uint256[] memory list = new uint256[](1);
        list[0] = railId;
        _rails().pay(list);
        if (_due[railId] != 0) ++_paid;
        _arrived[to] += _due[railId] == 0 ? 0 : _net(_due[railId]);
        _due[railId] = 0;
    }

    function _step(uint256 seed) private {
        address payer = _payers[(seed >> 200) % 2];
        address to = _providers[(seed >> 201) % 2];
        uint256 railId = _rails().railOf(payer, to);
        uint256 what = seed % 20;
        seed >>= 8;
        if (what < 6) _newJob(seed);
        else if (what < 11) _endJob(seed);
        else if (what < 13 && railId != 0) _payOne(railId, to);
        else if (what == 13 && railId != 0) _rails().release(railId);
        else if (what == 14) _approve(address(dollar), payer, address(deals), seed % 2 == 0, type(uint256).max, 1e6);
        else if (what == 15 && railId != 0) _endRail(seed, payer, to, railId);
        else if (what == 16) _emptyAccount(payer);
        else if (what == 17) _fillAccount(payer);
        else if (what == 18) _letRailsEnd(seed);
        else vm.roll(block.number + seed % 100);
    }

    /// @dev The payer takes all that it can.
    function _emptyAccount(address payer) private {
        (uint256 funds, uint256 locked) = _funds(address(dollar), payer);
        vm.startPrank(payer);
        vm.expectRevert();
        filecoinPay.withdraw(address(dollar), funds - locked + 1);
        if (funds != locked) filecoinPay.withdraw(address(dollar), funds - locked);
        vm.stopPrank();
    }

    function _fillAccount(address payer) private {
        uint256 amount = dollar.balanceOf(payer);
        if (amount == 0) return;
        vm.startPrank(payer);
        dollar.approve(address(filecoinPay), amount);
        filecoinPay.deposit(address(dollar), payer, amount);
        vm.stopPrank();
    }

    /// @dev All that was terminated comes to its end, long after the last deadline of its jobs; some of it has been paid until then.
    function _letRailsEnd(uint256 seed) private {
        if (_old.length == 0) return;
        while (_jobs.length != 0) {
            _endJob(uint256(keccak256(abi.encode(seed, _jobs.length))));
        }
        uint256 last = 0;
        for (uint256 i = 0; i < _old.length; ++i) {
            if ((seed >> i) % 2 == 0) _payOne(_old[i], _oldTo[i]);
            uint256 end = filecoinPay.getRail(_old[i]).endEpoch;
            if (end > last) last = end;
        }
        vm.roll(last);
        for (uint256 i = 0; i < _old.length; ++i) {
            _loseOne(_old[i]);
            // Anybody may wind it up, at any time: at the end all are.
            if ((seed >> 64 + i) % 2 == 0) filecoinPay.settleRail(_old[i], block.number);
            else _ended.push(_old[i]);
            _lostOn.push(_old[i]);
        }
        delete _old;
        delete _oldTo;
    }

    /// @dev The rail has ended: what nobody has paid is the payer's again.
    function _loseOne(uint256 railId) private {
        if (_due[railId] == 0) return;
        uint256[] memory list = new uint256[](1);
        list[0] = railId;
        uint256 end = filecoinPay.getRail(railId).endEpoch;
        vm.expectRevert(
            abi.encodeWithSelector(
                IFilecoinPay.CannotModifyTerminatedRailBeyondEndEpoch.selector, railId, end, block.number
            )
        );
        _rails().pay(list);
        (_lost[railId], _due[railId]) = (_due[railId], 0);
    }

    /// @dev The payer terminates a rail and has a new one made for the next job.
    function _endRail(uint256 seed, address payer, address to, uint256 railId) private {
        if (seed % 3 != 0) return;
        vm.startPrank(payer);
        filecoinPay.terminateRail(railId);
        _rails().renewRail(to);
        vm.stopPrank();
        // The old one is paid when its jobs have ended, whatever new ones there are.
        _old.push(railId);
        _oldTo.push(to);
    }

    uint256[] private _old; // terminated, and not ended
    address[] private _oldTo;
    uint256[] private _ended; // and not wound up yet
    uint256[] private _lostOn; // all that have ended

    function test_WhatNobodyPaysInTimeIsThePayersAgain() external {
        _newJob(1 << 8); // stranger.addr's is seed 1; with an arbiter
        assertEq(_jobs.length, 1);
        uint256 price = _jobs[0].price;
        uint256 railId = _jobs[0].railId;
        _emptyAccount(client.addr);
        assertEq(dollar.balanceOf(client.addr), PAY_FUNDS - price, "what is promised stays");
        _endJob(3 << 32); // accepted
        _endRail(0, client.addr, provider.addr, railId);
        _letRailsEnd(type(uint256).max); // and nobody pays
        assertEq(_lost[railId], price);
        _check();
        _settleEnded();
        _emptyAccount(client.addr);
        assertEq(dollar.balanceOf(client.addr), PAY_FUNDS);
        _check();
    }

    function test_WhatSomebodyPaysInTimeArrives() external {
        _newJob(1 << 8);
        uint256 price = _jobs[0].price;
        _endJob(3 << 32);
        _endRail(0, client.addr, provider.addr, _jobsRail());
        _letRailsEnd(0);
        assertEq(_arrived[provider.addr], _net(price));
        _check();
    }

    function _jobsRail() private view returns (uint256) {
        return _rails().railOf(client.addr, provider.addr);
    }

    function _settleEnded() private {
        for (uint256 i = 0; i < _ended.length; ++i) {
            filecoinPay.settleRail(_ended[i], block.number);
        }
        delete _ended;
    }

    function testFuzz_MoneyGoesWhereTheDealsSay(uint256 seed, uint8 steps) external {
        for (uint256 i = 0; i < steps % 48; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            _step(seed);
            _check();
        }
        while (_jobs.length != 0) {
            _endJob(uint256(keccak256(abi.encode(seed, _jobs.length))));
        }
        for (uint256 i = 0; i < _old.length; ++i) {
            _payOne(_old[i], _oldTo[i]);
            _rails().release(_old[i]);
        }
        for (uint256 i = 0; i < 4; ++i) {
            (address payer, address to) = (_payers[i % 2], _providers[i / 2]);
            uint256 railId = _rails().railOf(payer, to);
            if (railId == 0) continue;
            _payOne(railId, to);
            _rails().release(railId);
        }
        _settleEnded();
        _check();
        // All jobs have ended, and all is paid: nothing is locked, every attodollar is somewhere.
        uint256 inAll = 0;
        for (uint256 i = 0; i < 2; ++i) {
            (uint256 funds, uint256 locked) = _funds(address(dollar), _payers[i]);
            assertEq(locked, 0, "nothing is locked");
            inAll += funds + dollar.balanceOf(_payers[i]);
            (funds,) = _funds(address(dollar), _providers[i]);
            inAll += funds;
        }
        (uint256 fees,) = _funds(address(dollar), address(filecoinPay));
        assertEq(inAll + fees, 2 * PAY_FUNDS, "accounted for");
        if (_paid != 0) assertGt(fees, 0);
    }

    function _check() private view {
        uint256 owedInAll = 0;
        for (uint256 i = 0; i < 2; ++i) {
            (uint256 funds,) = _funds(address(dollar), _providers[i]);
            assertEq(funds, _arrived[_providers[i]], "what arrived");
            assertEq(deals.owed(_payers[i]), _owed[_payers[i]], "what is owed");
            owedInAll += _owed[_payers[i]];
        }
        assertEq(market.balanceOf(address(deals)), owedInAll, "nothing else is here");
        for (uint256 i = 0; i < 4; ++i) {
            uint256 railId = _rails().railOf(_payers[i % 2], _providers[i / 2]);
            if (railId != 0) _checkRail(railId);
        }
        for (uint256 i = 0; i < _old.length; ++i) {
            _checkRail(_old[i]);
        }
        for (uint256 i = 0; i < _lostOn.length; ++i) {
            (uint256 needed, uint256 due) = _rails().promised(_lostOn[i]);
            assertEq(needed, _lost[_lostOn[i]], "what was needed when it ended");
            assertEq(due, _lost[_lostOn[i]], "what was due when it ended");
        }
    }

    function _checkRail(uint256 railId) private view {
        (uint256 needed, uint256 due) = _rails().promised(railId);
        assertEq(needed, _running[railId] + _due[railId], "needed");
        assertEq(due, _due[railId], "due");
        assertGe(filecoinPay.getRail(railId).lockupFixed, needed, "what is promised is there");
    }
}
