// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract RevokeTest is MarketTest {
    function test_RevertWhen_ThereAreTooManySalts() external {
        uint256[] memory salts = new uint256[](257);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TooMany.selector, 257));
        market.revoke(salts);
        salts = new uint256[](256);
        market.revoke(salts);
    }

    function test_WhenThereAreNone() external {
        uint256[] memory none;
        vm.expectEmit(address(market));
        emit ILotaMarket.SaltsRevoked(client.addr, none);
        vm.prank(client.addr);
        market.revoke(none);
    }

    /// @dev Up, down and across the 64-bit windows, and in those that no account slot can name.
    function test_WhenSaltsLieInManyWindows() external {
        uint256[] memory salts = new uint256[](11);
        (salts[0], salts[1], salts[2], salts[3]) = (0, 63, 64, 3);
        (salts[4], salts[5], salts[6]) = (1 << 70, type(uint256).max, (1 << 70) - 1);
        (salts[7], salts[8], salts[9], salts[10]) = (130, 65, 1 << 69, (1 << 70) + 1);
        vm.expectEmit(address(market));
        emit ILotaMarket.SaltsRevoked(client.addr, salts);
        vm.prank(client.addr);
        market.revoke(salts);
        for (uint256 i = 0; i < salts.length; ++i) {
            assertTrue(market.isSpent(client.addr, salts[i]));
            assertFalse(market.isSpent(provider.addr, salts[i]));
        }
        uint256[8] memory others =
            [uint256(1), 62, 66, 128, (1 << 70) + 2, type(uint256).max - 1, (1 << 70) - 2, (1 << 69) - 1];
        for (uint256 i = 0; i < others.length; ++i) {
            assertFalse(market.isSpent(client.addr, others[i]));
        }
    }

    function test_WhenASaltIsSpentAlready() external {
        uint256[] memory salts = new uint256[](2);
        (salts[0], salts[1]) = (5, 5);
        vm.startPrank(client.addr);
        market.revoke(salts);
        market.revoke(salts);
        assertTrue(market.isSpent(client.addr, 5));
    }

    function test_WhenTheSenderHasMoney() external {
        uint256[] memory salts = new uint256[](2);
        (salts[0], salts[1]) = (63, 6400);
        vm.prank(client.addr);
        market.revoke(salts);
        assertEq(market.balanceOf(client.addr), FUNDS);
    }
}
