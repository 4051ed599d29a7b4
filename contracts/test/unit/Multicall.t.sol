// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract MulticallTest is MarketTest {
    bytes[] private _calls;

    function test_RevertWhen_ThereAreTooManyCalls() external {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TooMany.selector, 63));
        market.multicall(new bytes[](63));
    }

    function test_WhenThereAreNoCallsToMake() external {
        assertEq(market.multicall(_calls).length, 0);
    }

    function test_RevertWhen_ValueComesWithIt() external {
        deal(address(this), 1);
        (bool success,) = address(market).call{value: 1}(abi.encodeCall(ILotaMarket.multicall, (_calls)));
        assertFalse(success);
    }

    function test_RevertWhen_ACallFails() external {
        _calls.push(abi.encodeCall(ILotaMarket.open, (_terms(), "")));
        _calls.push(abi.encodeCall(ILotaMarket.withdraw, (client.addr, FUNDS)));
        _expectPoor(client.addr, FUNDS - 2 ether, FUNDS);
        vm.prank(client.addr);
        market.multicall(_calls);
        _assertStatus(_terms(), ILotaMarket.Status.None, ILotaMarket.Reason.None, false);
        assertFalse(market.isSpent(client.addr, 1));
    }

    function test_RevertWhen_ACallFailsWithoutData() external {
        _calls.push(hex"12345678");
        (bool success, bytes memory why) = address(market).call(abi.encodeCall(ILotaMarket.multicall, (_calls)));
        assertFalse(success);
        assertEq(why.length, 0);
    }

    function test_WhenCallsReturnSomething() external {
        _calls.push(abi.encodeCall(ILotaMarket.open, (_terms(), "")));
        _calls.push(abi.encodeCall(ILotaMarket.announce, ("https://example.org")));
        _calls.push(abi.encodeCall(ILotaMarket.balanceOf, (client.addr)));
        vm.prank(client.addr);
        bytes[] memory results = market.multicall(_calls);
        assertEq(results.length, 3);
        assertEq(results[0], abi.encode(_jobId(_terms())));
        assertEq(results[1], "");
        assertEq(results[2], abi.encode(FUNDS - 2 ether));
    }

    /// @dev The classic fault: one value, credited by every delegated call.
    function test_WhenOpenIsAmongTheCalls() external {
        _drain(client.addr);
        deal(client.addr, 2 ether);
        _calls.push(abi.encodeCall(ILotaMarket.open, (_terms(client.addr, 1), "")));
        _calls.push(abi.encodeCall(ILotaMarket.open, (_terms(client.addr, 2), "")));
        vm.prank(client.addr);
        (bool success,) = address(market).call{value: 2 ether}(abi.encodeCall(ILotaMarket.multicall, (_calls)));
        assertFalse(success);
        _expectPoor(client.addr, 0, 2 ether);
        vm.prank(client.addr);
        market.multicall(_calls);
    }

    function test_WhenOpeningAndCancellingOverAndOver() external {
        for (uint256 i = 0; i < 4; ++i) {
            _calls.push(abi.encodeCall(ILotaMarket.open, (_terms(client.addr, i), "")));
            _calls.push(abi.encodeCall(ILotaMarket.cancel, (_terms(client.addr, i))));
        }
        vm.prank(client.addr);
        market.multicall(_calls);
        _assertBalances(FUNDS, FUNDS);
        _calls.push(abi.encodeCall(ILotaMarket.open, (_terms(client.addr, 0), "")));
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SaltSpent.selector, client.addr, 0));
        vm.prank(client.addr);
        market.multicall(_calls);
    }

    function test_WhenItIsNested() external {
        bytes[] memory inner = new bytes[](1);
        inner[0] = abi.encodeCall(ILotaMarket.withdraw, (stranger.addr, 5));
        _calls.push(abi.encodeCall(ILotaMarket.multicall, (inner)));
        vm.prank(client.addr);
        market.multicall(_calls);
        assertEq(stranger.addr.balance, 5);
        assertEq(market.balanceOf(client.addr), FUNDS - 5);
    }
}
