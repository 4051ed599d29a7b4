// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Eip712} from "../base/Eip712.sol";
import {MarketTest} from "../base/MarketTest.sol";

/// @title FuzzTest: formulas and encodings against a second way to compute them
contract FuzzTest is MarketTest {
    mapping(uint256 salt => bool) private _expected;

    /// @dev The cheatcode parses the type's text itself: a third implementation of EIP-712.
    function testFuzz_JobIdsAreTypedDataHashes(ILotaMarket.Terms calldata t) external view {
        bytes32 structHash = vm.eip712HashStruct(Eip712.TERMS, abi.encode(t));
        assertEq(structHash, Eip712.hash(t));
        assertEq(market.jobIdOf(t), Eip712.digest(Eip712.domain(address(market), block.chainid), structHash));
    }

    function testFuzz_ReceiptDigestsAreTypedDataHashes(ILotaMarket.Receipt calldata receipt) external view {
        bytes32 structHash = vm.eip712HashStruct(string.concat(Eip712.RECEIPT, Eip712.RESULT), abi.encode(receipt));
        assertEq(structHash, Eip712.hash(receipt));
        assertEq(market.receiptDigest(receipt), bytes26(structHash));
    }

    function testFuzz_PricesFollowTheRamp(ILotaMarket.Terms memory t, uint64 time) external view {
        t.maxPrice = bound(t.maxPrice, 0, (1 << 48) - 1) * 1 gwei;
        t.minPrice = bound(t.minPrice, 0, t.maxPrice / 1 gwei) * 1 gwei;
        t.rampPeriod = uint64(bound(t.rampPeriod, 1, type(uint64).max));
        uint256 price = market.priceAt(t, time);
        assertGe(price, t.minPrice);
        assertLe(price, t.maxPrice);
        assertEq(price % 1 gwei, 0);
        if (time <= t.rampStart) {
            assertEq(price, t.minPrice);
        } else {
            uint256 elapsed = time - t.rampStart;
            if (elapsed > t.rampPeriod) elapsed = t.rampPeriod;
            // In gwei: floor(min * period + (max - min) * elapsed, period).
            uint256 exact = (t.minPrice * t.rampPeriod + (t.maxPrice - t.minPrice) * elapsed) / t.rampPeriod;
            assertEq(price, exact / 1 gwei * 1 gwei);
        }
        if (time < type(uint64).max) assertGe(market.priceAt(t, time + 1), price, "never falls");
    }

    /// @dev Any order of salts, near and far, against a plain set.
    function testFuzz_SpentSaltsAreASet(uint256 seed, uint8 count) external {
        uint256[] memory salts = new uint256[](uint256(count) + 1);
        uint256 near = uint256(keccak256(abi.encode(seed, "near")));
        for (uint256 i = 0; i < salts.length; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            uint256 kind = random % 4;
            if (kind == 0) salts[i] = near++;
            else if (kind == 1) salts[i] = (random >> 8) % 300;
            else if (kind == 2) salts[i] = near - (random >> 8) % 200;
            else salts[i] = (random >> 8) % (1 << 72);
        }
        vm.startPrank(client.addr);
        for (uint256 i = 0; i < salts.length; ++i) {
            assertEq(market.isSpent(client.addr, salts[i]), _expected[salts[i]], "before");
            uint256[] memory one = new uint256[](1);
            one[0] = salts[i];
            market.revoke(one);
            _expected[salts[i]] = true;
            uint256 other = salts[uint256(keccak256(abi.encode(seed, i, "other"))) % salts.length];
            assertEq(market.isSpent(client.addr, other), _expected[other], "other");
        }
        for (uint256 i = 0; i < salts.length; ++i) {
            assertTrue(market.isSpent(client.addr, salts[i]));
            unchecked {
                assertEq(market.isSpent(client.addr, salts[i] + 1), _expected[salts[i] + 1]);
            }
        }
        assertEq(market.balanceOf(client.addr), FUNDS);
    }

    /// @dev A deal with any valid terms, locked at any time, submitted with any result, and every way it can end.
    function testFuzz_MoneyIsKept(ILotaMarket.Terms memory t, ILotaMarket.Result memory result, uint256 seed) external {
        _valid(t);
        vm.assume(result.inlineData.length <= 1024);
        uint256 held = address(market).balance;
        uint256 others = market.balanceOf(matcher.addr) + market.balanceOf(arbiter.addr);
        _fund(client.addr, t.maxPrice);
        _fund(provider.addr, t.collateral);
        held += t.maxPrice + t.collateral;
        vm.prank(client.addr);
        market.open(t, "");
        vm.warp(bound(seed, t.rampStart > START ? t.rampStart : START, t.lockBy));
        vm.prank(provider.addr);
        market.lock(t);
        uint256 price = market.priceAt(t, uint64(block.timestamp));
        assertEq(market.balanceOf(client.addr), FUNDS + t.maxPrice - price);
        assertEq(market.balanceOf(provider.addr), FUNDS);
        ILotaMarket.Receipt memory receipt = ILotaMarket.Receipt(provider.addr, price, result);
        uint256 way = seed % 6;
        if (way == 0) {
            vm.warp(block.timestamp + t.runFor + 1);
            market.expire(t);
        } else {
            vm.warp(block.timestamp + seed % (t.runFor + 1));
            vm.prank(provider.addr);
            market.submitResult(t, result);
            assertEq(market.dealOf(_jobId(t)).receipt, _kept(t, receipt));
            if (way == 1) {
                vm.warp(block.timestamp + t.reviewFor + 1);
                market.settle(t, receipt);
            } else {
                vm.startPrank(arbiter.addr);
                market.dispute(t);
                if (way == 2) market.rule(t, receipt, ILotaMarket.Verdict.Upheld);
                if (way == 3) market.rule(t, receipt, ILotaMarket.Verdict.Overturned);
                if (way == 4) market.rule(t, receipt, ILotaMarket.Verdict.Void);
                if (way == 5) {
                    vm.warp(block.timestamp + t.ruleFor + 1);
                    market.lapse(t, receipt);
                }
                vm.stopPrank();
            }
        }
        uint256 ofClient = FUNDS + t.maxPrice - price;
        uint256 ofProvider = FUNDS;
        uint256 half = t.collateral / 2;
        if (way == 0 || way == 3) ofClient += price + half;
        if (way == 1 || way == 2) ofProvider += price + t.collateral;
        if (way >= 4) (ofClient, ofProvider) = (ofClient + price, ofProvider + t.collateral);
        _assertBalances(ofClient, ofProvider);
        assertEq(market.burned(), way == 0 ? t.collateral - half : 0);
        others += way == 3 ? t.collateral - half : 0;
        assertEq(market.balanceOf(matcher.addr) + market.balanceOf(arbiter.addr), others);
        assertEq(address(market).balance, held);
        assertEq(ofClient + ofProvider + others + market.burned(), held);
    }

    /// @dev No 65 or 64 bytes but the client's own open a job for it.
    function testFuzz_OtherSignaturesAreRefused(bytes32 r, bytes32 s, uint8 v, bool short_) external {
        ILotaMarket.Terms memory t = _terms();
        bytes memory signature = short_ ? abi.encodePacked(r, s) : abi.encodePacked(r, s, v);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, client.addr));
        market.openSigned(t, "", signature);
    }

    function _valid(ILotaMarket.Terms memory t) private view {
        t.client = client.addr;
        t.specCodec = t.specCodec % 2 == 0 ? 0x71 : 0x55;
        t.maxPrice = bound(t.maxPrice, 0, (1 << 48) - 1) * 1 gwei;
        t.minPrice = bound(t.minPrice, 0, t.maxPrice / 1 gwei) * 1 gwei;
        t.collateral = bound(t.collateral, 0, (1 << 48) - 1) * 1 gwei;
        t.lockBy = uint64(bound(t.lockBy, START, START + 365 days));
        t.rampStart = uint64(bound(t.rampStart, 0, t.lockBy));
        t.rampPeriod = uint64(bound(t.rampPeriod, 1, type(uint64).max));
        t.runFor = uint32(bound(t.runFor, MIN_WINDOW, 90 days));
        t.reviewFor = uint32(bound(t.reviewFor, MIN_WINDOW, 90 days));
        t.ruleFor = uint32(bound(t.ruleFor, MIN_WINDOW, 90 days));
        (t.matcher, t.arbiter) = (address(0), arbiter.addr);
        t.callbackGas = uint32(bound(t.callbackGas, 0, MAX_CALLBACK_GAS));
    }
}
