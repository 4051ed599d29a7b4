// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract ViewsTest is MarketTest {
    function test_GivenANewDeployment() external {
        ILotaMarket fresh = _deploy();
        assertEq(abi.encode(fresh.settings()), abi.encode(_settings()));
        assertEq(fresh.burned(), 0);
        assertEq(fresh.balanceOf(client.addr), 0);
        assertFalse(fresh.isSpent(client.addr, 0));
    }

    function test_GivenTwoDeployments() external {
        ILotaMarket other = _deploy();
        assertEq(market.jobIdOf(_terms()), _jobId(_terms()));
        assertTrue(other.jobIdOf(_terms()) != _jobId(_terms()));
        bytes32 id = _jobId(_terms());
        assertEq(market.receiptDigest(id, _receipt()), _kept(_terms(), _receipt()));
        assertTrue(market.receiptDigest(0, _receipt()) != market.receiptDigest(id, _receipt()));
    }

    function test_GivenNoDeal() external view {
        ILotaMarket.Deal memory empty;
        assertEq(abi.encode(market.dealOf(bytes32(uint256(1)))), abi.encode(empty));
    }

    function test_WhenAskingForPricesAlongTheRamp() external view {
        ILotaMarket.Terms memory t = _terms();
        (t.rampStart, t.rampPeriod) = (1000, 7);
        assertEq(market.priceAt(t, 0), 1 ether);
        assertEq(market.priceAt(t, 1000), 1 ether);
        assertEq(market.priceAt(t, 1001), 1.142857142 ether); // 1/7, cut to a gwei
        assertEq(market.priceAt(t, 1006), 1.857142857 ether);
        assertEq(market.priceAt(t, 1007), 2 ether);
        assertEq(market.priceAt(t, type(uint64).max), 2 ether);
        t.minPrice = t.maxPrice;
        assertEq(market.priceAt(t, 1003), 2 ether);
    }

    function test_WhenTheChainForks() external {
        bytes32 id = market.jobIdOf(_terms());
        _open(_terms());
        vm.chainId(1);
        assertEq(market.jobIdOf(_terms()), id);
        vm.prank(provider.addr);
        market.lock(_terms()); // transactions name their chain themselves
        assertEq(uint256(market.dealOf(id).status), uint256(ILotaMarket.Status.Locked));
    }
}
