// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract LapseTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private view returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.lapse, (t, _receipt()));
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_terms());
        market.lapse(_terms(), _receipt());
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Disputed), stranger.addr, _terms(), _call);
    }

    function test_RevertWhen_TheArbiterHasTimeLeft() external {
        _dispute(_terms());
        vm.warp(START + 4 hours);
        ILotaMarket.Receipt memory other = _receipt();
        other.price = 0; // the time comes before the arguments
        _expectTooEarly(START + 4 hours, START + 4 hours + 1);
        market.lapse(_terms(), other);
    }

    function test_RevertWhen_TheReceiptIsAnother() external {
        _dispute(_terms());
        vm.warp(START + 4 hours + 1);
        ILotaMarket.Receipt memory other = _receipt();
        other.provider = client.addr;
        _expectMismatch(_terms());
        market.lapse(_terms(), other);
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.Terms memory t = _terms();
        _dispute(t);
        vm.warp(START + 4 hours + 1);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobVoided(_jobId(t), provider.addr, 1.1 ether, ILotaMarket.Reason.NotRuled);
        vm.prank(stranger.addr);
        market.lapse(t, _receipt());
        _assertBalances(FUNDS, FUNDS);
        _assertStatus(t, ILotaMarket.Status.Void, ILotaMarket.Reason.NotRuled, false);
    }
}
