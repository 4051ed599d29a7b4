// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract RevokeTest is MarketTest {
    function _assertWindow(uint192 lane, uint64 next) private view {
        uint256 first = _lane(lane);
        assertEq(market.nextSalt(client.addr, lane), first + next, "next");
        if (next != 0) assertTrue(market.isSpent(client.addr, first + next - 1), "all below it");
        if (next != 0) assertTrue(market.isSpent(client.addr, first), "from the first");
        assertFalse(market.isSpent(client.addr, first + next), "not it");
    }

    function _revoke(uint192 lane, uint64 upTo) private {
        vm.expectEmit(address(market));
        emit ILotaMarket.SaltsRevoked(client.addr, lane, upTo);
        vm.prank(client.addr);
        market.revoke(lane, upTo);
    }

    function _openAt(uint256 salt) private {
        _open(_terms(client.addr, salt));
    }

    function test_WhenTheWindowIsThereAlready() external {
        _revoke(0, 0);
        _assertWindow(0, 0);
        _revoke(0, 9);
        _revoke(0, 9);
        _revoke(0, 4);
        _assertWindow(0, 9);
    }

    function test_WhenTheWindowMovesByLessThanItsSize() external {
        _openAt(7);
        _openAt(40);
        _openAt(63);
        _revoke(0, 30);
        _assertWindow(0, 30);
        assertTrue(market.isSpent(client.addr, 40));
        assertTrue(market.isSpent(client.addr, 63));
        assertFalse(market.isSpent(client.addr, 39));
        assertFalse(market.isSpent(client.addr, 41));
        _openAt(93); // the last of the window
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SaltTooFar.selector, client.addr, 94, 30));
        vm.prank(client.addr);
        market.open(_terms(client.addr, 94), "");
    }

    function test_WhenWhatFollowsIsSpentAlready() external {
        _openAt(5);
        _openAt(6);
        _openAt(8);
        _revoke(0, 5);
        _assertWindow(0, 7);
        _openAt(7);
        _assertWindow(0, 9);
    }

    function test_WhenTheWindowMovesByItsSizeOrMore() external {
        _openAt(63);
        _revoke(0, 64);
        _assertWindow(0, 64);
        _openAt(70);
        _revoke(0, 1_000_000);
        _assertWindow(0, 1_000_000);
        assertTrue(market.isSpent(client.addr, 999_999));
    }

    function test_WhenAllOfALaneIsRevoked() external {
        uint64 last = type(uint64).max;
        _revoke(3, last - 1);
        _openAt(_lane(3) + last - 1); // the last number there is
        assertEq(market.nextSalt(client.addr, 3), _lane(3) + last);
        assertFalse(market.isSpent(client.addr, _lane(3) + last), "it cannot be spent");
        uint256 salt = _lane(3) + last;
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SaltTooFar.selector, client.addr, salt, salt));
        vm.prank(client.addr);
        market.open(_terms(client.addr, salt), "");
        _revoke(4, last);
        assertTrue(market.isSpent(client.addr, _lane(4) + last - 1));
    }

    function test_WhenThereAreOtherLanesAndClients() external {
        _revoke(1, 5);
        _revoke(type(uint192).max, 6);
        _assertWindow(1, 5);
        _assertWindow(type(uint192).max, 6);
        _assertWindow(0, 0);
        _assertWindow(2, 0);
        assertEq(market.nextSalt(provider.addr, 1), _lane(1));
        assertFalse(market.isSpent(provider.addr, _lane(1)));
    }

    function test_WhenTheSenderHasMoney() external {
        _revoke(0, 1 << 63);
        assertEq(market.balanceOf(client.addr), FUNDS);
        _fund(client.addr, 5);
        assertEq(market.balanceOf(client.addr), FUNDS + 5);
        _assertWindow(0, 1 << 63);
    }

    /// @dev A hundred salts spent in and out of order leave one slot each for two lanes behind.
    function test_WhenManySaltsAreSpent() external {
        for (uint256 lane = 0; lane < 2; ++lane) {
            for (uint256 i = 0; i < 100; ++i) {
                uint256 number = (i & ~uint256(15)) + (15 - (i & 15)); // sixteen at a time, backwards
                if (number >= 100) continue;
                ILotaMarket.Terms memory t = _terms(client.addr, _lane(lane) + number);
                t.keepRecord = false;
                _bring(t, ILotaMarket.Status.Cancelled);
                vm.prank(client.addr);
                _expectSpent(client.addr, t.salt);
                market.open(t, "");
            }
            _assertWindow(uint192(lane), 96);
        }
    }
}
