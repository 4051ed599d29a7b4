// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Eip712} from "../base/Eip712.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract AcceptTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private view returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.accept, (t, _receipt()));
    }

    function _differs(ILotaMarket.Receipt memory receipt) private {
        _expectMismatch(_terms());
        vm.prank(client.addr);
        market.accept(_terms(), receipt);
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_terms());
        vm.prank(client.addr);
        market.accept(_terms(), _receipt());
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Submitted), client.addr, _terms(), _call);
    }

    function test_RevertWhen_TheSenderIsNotTheClient() external {
        _submit(_terms());
        address[3] memory others = [provider.addr, arbiter.addr, stranger.addr];
        for (uint256 i = 0; i < others.length; ++i) {
            _expectWrongSender(others[i], client.addr);
            vm.prank(others[i]);
            market.accept(_terms(), _receipt());
        }
    }

    function test_RevertWhen_TheReceiptIsAnother() external {
        _submit(_terms());
        ILotaMarket.Receipt memory receipt = _receipt();
        receipt.provider = client.addr;
        _differs(receipt);
        receipt = _receipt();
        receipt.price += 1;
        _differs(receipt);
        receipt = _receipt();
        receipt.result.output = 0;
        _differs(receipt);
        receipt = _receipt();
        receipt.result.exitCode = 0;
        _differs(receipt);
        receipt = _receipt();
        receipt.result.fuelUsed += 1;
        _differs(receipt);
        receipt = _receipt();
        receipt.result.inlineData = "";
        _differs(receipt);
    }

    /// @dev As if a second receipt with the same digest had been found: it is put into the deal's slot here.
    function test_RevertWhen_TheDigestFitsButThePriceDoesNot() external {
        ILotaMarket.Terms memory t = _terms();
        _submit(t);
        uint256[4] memory prices = [t.minPrice - 1 gwei, t.maxPrice + 1 gwei, t.minPrice + 1, FUNDS];
        for (uint256 i = 0; i < 4; ++i) {
            ILotaMarket.Receipt memory forged = _receipt();
            forged.price = prices[i];
            bytes32 slot = _slotOf(t);
            uint256 low = uint256(vm.load(address(market), slot)) & ((1 << 48) - 1);
            vm.store(address(market), slot, bytes32(uint256(bytes32(_kept(t, forged))) | low));
            assertEq(market.dealOf(_jobId(t)).receipt, _kept(t, forged), "forged");
            _differs(forged);
        }
    }

    /// @dev Of the deal.
    function _slotOf(ILotaMarket.Terms memory t) private returns (bytes32) {
        vm.record();
        market.dealOf(_jobId(t));
        (bytes32[] memory reads,) = vm.accesses(address(market));
        return reads[0];
    }

    function test_WhenTheReviewWindowHasPassed() external {
        _submit(_terms());
        vm.warp(START + 300 days);
        vm.prank(client.addr);
        market.accept(_terms(), _receipt());
        _assertStatus(_terms(), ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, false);
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.Terms memory t = _terms();
        _submit(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobSettled(_jobId(t), provider.addr, 1.1 ether, ILotaMarket.Reason.Accepted);
        vm.prank(client.addr);
        market.accept(t, _receipt());
        _assertBalances(FUNDS - 1.1 ether, FUNDS + 1.1 ether);
        assertEq(
            abi.encode(market.dealOf(_jobId(t))),
            abi.encode(
                ILotaMarket.Deal(
                    ILotaMarket.Status.Settled,
                    ILotaMarket.Reason.Accepted,
                    false,
                    0,
                    address(0),
                    0,
                    _kept(t, _receipt())
                )
            )
        );
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _terms();
        ILotaMarket.Receipt memory other = _receipt();
        other.price = 0;
        _expectUnknown(t);
        market.accept(t, other);
        _lock(t);
        _expectWrongState(t, ILotaMarket.Status.Locked);
        market.accept(t, other);
        vm.prank(provider.addr);
        market.submitResult(t, _result());
        _expectWrongSender(address(this), client.addr);
        market.accept(t, other);
        _differs(other);
    }
}
