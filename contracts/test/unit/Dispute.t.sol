// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Eip712} from "../base/Eip712.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract DisputeTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.dispute, (t));
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_terms());
        market.dispute(_terms());
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Submitted), arbiter.addr, _terms(), _call);
    }

    function test_RevertWhen_ThereIsNoArbiter() external {
        ILotaMarket.Terms memory t = _unreviewed();
        _submit(t);
        address[3] memory senders = [client.addr, arbiter.addr, address(0)];
        for (uint256 i = 0; i < senders.length; ++i) {
            _expectWrongState(t, ILotaMarket.Status.Settled);
            vm.prank(senders[i]);
            market.dispute(t);
        }
    }

    function test_RevertWhen_TheSenderIsNotTheArbiter() external {
        _submit(_terms());
        vm.warp(START + 30 days); // the sender comes before the time
        _expectWrongSender(client.addr, arbiter.addr);
        vm.prank(client.addr);
        market.dispute(_terms());
    }

    function test_RevertWhen_TheReviewWindowHasPassed() external {
        _submit(_terms());
        vm.warp(START + 3 hours + 1);
        _expectTooLate(START + 3 hours + 1, START + 3 hours);
        vm.prank(arbiter.addr);
        market.dispute(_terms());
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.Terms memory t = _terms();
        _submit(t);
        vm.warp(START + 3 hours);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobDisputed(_jobId(t));
        vm.prank(arbiter.addr);
        market.dispute(t);
        assertEq(
            abi.encode(market.dealOf(_jobId(t))),
            abi.encode(
                ILotaMarket.Deal(
                    ILotaMarket.Status.Disputed,
                    ILotaMarket.Reason.None,
                    false,
                    uint64(START + 3 hours),
                    address(0),
                    0,
                    _kept(t, _receipt())
                )
            )
        );
        _assertBalances(FUNDS - 1.1 ether, FUNDS - 3 ether);
    }
}
