// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Eip712} from "../base/Eip712.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract SubmitResultTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.submitResult, (t, _result()));
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_terms());
        vm.prank(provider.addr);
        market.submitResult(_terms(), _result());
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Locked), provider.addr, _terms(), _call);
    }

    /// @dev The fault of a predecessor: results accepted from anyone.
    function test_RevertWhen_TheSenderIsNotTheProvider() external {
        _lock(_terms());
        address[3] memory others = [client.addr, arbiter.addr, stranger.addr];
        for (uint256 i = 0; i < others.length; ++i) {
            _expectWrongSender(others[i], provider.addr);
            vm.prank(others[i]);
            market.submitResult(_terms(), _result());
        }
    }

    function test_RevertWhen_TheTimeHasRunOut() external {
        _lock(_terms());
        vm.warp(START + 2 hours + 1);
        _expectTooLate(START + 2 hours + 1, START + 2 hours);
        vm.prank(provider.addr);
        market.submitResult(_terms(), _result());
    }

    function test_RevertWhen_TheInlineDataIsTooLarge() external {
        _lock(_terms());
        ILotaMarket.Result memory result = _result();
        result.inlineData = new bytes(1025);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.InlineTooLarge.selector, 1025));
        vm.prank(provider.addr);
        market.submitResult(_terms(), result);
    }

    function test_RevertWhen_AFieldHasBitsOutsideOfItsType() external {
        _lock(_terms());
        for (uint256 field = 1; field <= 2; ++field) {
            bytes memory data = abi.encodeCall(ILotaMarket.submitResult, (_terms(), _result()));
            uint256 at = 0x24 + 0x240 + 0x20 * field; // behind selector, terms and offset
            uint256 bit = field == 1 ? 1 << 32 : 1 << 64;
            assembly {
                mstore(add(data, at), or(mload(add(data, at)), bit))
            }
            vm.prank(provider.addr);
            (bool success,) = address(market).call(data);
            assertFalse(success);
        }
    }

    function test_WhenTheInlineDataHasAnySize() external {
        uint16[6] memory sizes = [0, 1, 31, 32, 33, 1024];
        for (uint256 i = 0; i < sizes.length; ++i) {
            ILotaMarket.Terms memory t = _terms(client.addr, 10 + i);
            _lock(t);
            ILotaMarket.Receipt memory receipt = _receipt();
            receipt.result.inlineData = new bytes(sizes[i]);
            for (uint256 j = 0; j < sizes[i]; ++j) {
                receipt.result.inlineData[j] = bytes1(uint8(255 - j % 255));
            }
            vm.expectEmit(address(market));
            emit ILotaMarket.ResultSubmitted(_jobId(t), provider.addr, receipt.result);
            vm.prank(provider.addr);
            market.submitResult(t, receipt.result);
            assertEq(market.dealOf(_jobId(t)).receipt, _kept(t, receipt));
        }
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.Terms memory t = _terms();
        _lock(t);
        vm.warp(START + 2 hours);
        vm.expectEmit(address(market));
        emit ILotaMarket.ResultSubmitted(_jobId(t), provider.addr, _result());
        vm.prank(provider.addr);
        market.submitResult(t, _result());
        _assertBalances(FUNDS - 1.1 ether, FUNDS - 3 ether);
        assertEq(
            abi.encode(market.dealOf(_jobId(t))),
            abi.encode(
                ILotaMarket.Deal(
                    ILotaMarket.Status.Submitted,
                    ILotaMarket.Reason.None,
                    false,
                    uint64(START + 2 hours),
                    address(0),
                    0,
                    _kept(t, _receipt())
                )
            )
        );
    }

    function test_WhenThereIsNoArbiter() external {
        ILotaMarket.Terms memory t = _unreviewed();
        _lock(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.ResultSubmitted(_jobId(t), provider.addr, _result());
        vm.expectEmit(address(market));
        emit ILotaMarket.JobSettled(_jobId(t), provider.addr, 1.1 ether, ILotaMarket.Reason.Unreviewed);
        vm.prank(provider.addr);
        market.submitResult(t, _result());
        _assertBalances(FUNDS - 1.1 ether, FUNDS + 1.1 ether);
        assertEq(
            abi.encode(market.dealOf(_jobId(t))),
            abi.encode(
                ILotaMarket.Deal(
                    ILotaMarket.Status.Settled,
                    ILotaMarket.Reason.Unreviewed,
                    false,
                    0,
                    address(0),
                    0,
                    _kept(t, _receipt())
                )
            )
        );
        (t.salt, t.keepRecord) = (2, false);
        _submit(t);
        _assertStatus(t, ILotaMarket.Status.None, ILotaMarket.Reason.None, false);
        _expectSpent(client.addr, 2);
        vm.prank(client.addr);
        market.accept(t, _receipt());
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _terms();
        ILotaMarket.Result memory result = _result();
        result.inlineData = new bytes(1025);
        _expectUnknown(t);
        market.submitResult(t, result);
        _open(t);
        _expectWrongState(t, ILotaMarket.Status.Open);
        market.submitResult(t, result);
        _lock(t);
        vm.warp(START + 1 days);
        _expectWrongSender(address(this), provider.addr);
        market.submitResult(t, result);
        vm.startPrank(provider.addr);
        _expectTooLate(START + 1 days, START + 2 hours);
        market.submitResult(t, result);
        vm.warp(START + 2 hours);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.InlineTooLarge.selector, 1025));
        market.submitResult(t, result);
    }
}
