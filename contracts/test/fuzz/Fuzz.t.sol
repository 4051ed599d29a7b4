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

    function testFuzz_ReceiptDigestsAreTypedDataHashes(bytes32 id, ILotaMarket.Receipt calldata receipt) external view {
        bytes32 structHash = vm.eip712HashStruct(string.concat(Eip712.RECEIPT, Eip712.RESULT), abi.encode(receipt));
        assertEq(structHash, Eip712.hash(receipt));
        assertEq(market.receiptDigest(id, receipt), bytes26(keccak256(abi.encode(id, structHash))));
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

    /// @dev Any order of openings and revocations, in and out of the window, against a plain set.
    function testFuzz_SpentSaltsAreASet(uint256 seed, uint8 count, uint192 lane) external {
        lane %= 3;
        uint64 next = uint64(seed % 3 == 0 ? 0 : seed % 3 == 1 ? 1 << 40 : type(uint64).max - 100);
        vm.prank(client.addr);
        market.revoke(lane, next);
        for (uint256 i = 0; i < uint256(count) % 120; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            uint64 number = random % 3 == 0 ? next : _near(next, random);
            if (random % 16 == 15) {
                vm.prank(client.addr);
                market.revoke(lane, number);
                for (; next < number; ++next) {
                    _expected[next] = true;
                }
            } else {
                _try(lane, number, next);
            }
            while (_expected[next]) ++next;
            assertEq(market.nextSalt(client.addr, lane), _lane(lane) + next, "the lowest free one");
            uint64 other = _near(next, random >> 64);
            bool spent = other < next || _expected[other];
            assertEq(market.isSpent(client.addr, _lane(lane) + other), spent, "another");
        }
        assertEq(market.isSpent(client.addr, _lane(lane + 1)), false, "another lane");
    }

    /// @dev A number that may lie below the window, in it, or beyond it.
    function _near(uint64 next, uint256 random) private pure returns (uint64) {
        uint256 number = uint256(next) + (random >> 8) % 80;
        number = number > 8 ? number - 8 : 0;
        return number > type(uint64).max ? type(uint64).max : uint64(number);
    }

    /// @dev Opens a job for nothing with this salt.
    function _try(uint192 lane, uint64 number, uint64 next) private {
        ILotaMarket.Terms memory t = _terms(client.addr, _lane(lane) + number);
        (t.minPrice, t.maxPrice) = (0, 0);
        bool spent = number < next || _expected[number];
        bool tooFar = !spent && (number - next > 63 || number == type(uint64).max);
        if (spent) {
            _expectSpent(client.addr, t.salt);
        } else if (tooFar) {
            vm.expectRevert(
                abi.encodeWithSelector(ILotaMarket.SaltTooFar.selector, client.addr, t.salt, _lane(lane) + next)
            );
        } else {
            _expected[number] = true;
        }
        vm.prank(client.addr);
        market.open(t, "");
    }

    /// @dev A deal with any valid terms, locked at any time, submitted with any result, and every way it can end.
    function testFuzz_MoneyIsKept(ILotaMarket.Terms memory t, ILotaMarket.Result memory result, uint256 seed) external {
        _valid(t, seed);
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
        uint256 way = seed % 7; // the last without an arbiter
        if (way == 0) {
            vm.warp(block.timestamp + t.runFor + 1);
            market.expire(t);
        } else {
            vm.warp(block.timestamp + seed % (t.runFor + 1));
            vm.prank(provider.addr);
            market.submitResult(t, result);
            assertEq(market.dealOf(_jobId(t)).receipt, way == 6 && !t.keepRecord ? bytes26(0) : _kept(t, receipt));
            if (way == 6) {
                _expectRefused(t);
            } else if (way == 1) {
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
        if (way == 1 || way == 2 || way == 6) ofProvider += price + t.collateral;
        if (way == 4 || way == 5) (ofClient, ofProvider) = (ofClient + price, ofProvider + t.collateral);
        _assertBalances(ofClient, ofProvider);
        assertEq(market.burned(), way == 0 ? t.collateral - half : 0);
        others += way == 3 ? t.collateral - half : 0;
        assertEq(market.balanceOf(matcher.addr) + market.balanceOf(arbiter.addr), others);
        assertEq(address(market).balance, held);
        assertEq(ofClient + ofProvider + others + market.burned(), held);
    }

    /// @dev What has settled at once is over.
    function _expectRefused(ILotaMarket.Terms memory t) private {
        vm.expectRevert();
        vm.prank(arbiter.addr);
        market.dispute(t);
    }

    /// @dev No 65 or 64 bytes but the client's own open a job for it.
    function testFuzz_OtherSignaturesAreRefused(bytes32 r, bytes32 s, uint8 v, bool short_) external {
        ILotaMarket.Terms memory t = _terms();
        bytes memory signature = short_ ? abi.encodePacked(r, s) : abi.encodePacked(r, s, v);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, client.addr));
        market.openSigned(t, "", signature);
    }

    function _valid(ILotaMarket.Terms memory t, uint256 seed) private view {
        t.client = client.addr;
        t.salt = t.salt >> 64 << 64 | t.salt % 64;
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
        (t.matcher, t.arbiter) = (address(0), seed % 7 == 6 ? address(0) : arbiter.addr);
        if (t.arbiter == address(0)) (t.reviewFor, t.ruleFor) = (0, 0);
        t.callbackGas = uint32(bound(t.callbackGas, 0, MAX_CALLBACK_GAS));
        if (t.callbackGas == 2300) t.callbackGas = 2301;
    }
}
