// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract AnnouncementsTest is MarketTest {
    function test_RevertWhen_ASpecIsTooLarge() external {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SpecTooLarge.selector, 7169));
        market.publishSpec(new bytes(7169));
    }

    function test_WhenASpecFits() external {
        bytes[3] memory specs = [bytes(""), bytes("spec"), new bytes(7168)];
        for (uint256 i = 0; i < 3; ++i) {
            bytes32 digest = sha256(specs[i]);
            vm.expectEmit(address(market));
            emit ILotaMarket.SpecPublished(digest, specs[i]);
            market.publishSpec(specs[i]);
        }
    }

    function test_RevertWhen_AUrlIsTooLong() external {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.UrlTooLarge.selector, 257));
        market.announce(string(new bytes(257)));
    }

    function test_WhenAUrlFits() external {
        string[3] memory urls = ["", "https://provider.example/ipfs", string(new bytes(256))];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(market));
            emit ILotaMarket.Announced(provider.addr, urls[i]);
            vm.prank(provider.addr);
            market.announce(urls[i]);
        }
    }
}
