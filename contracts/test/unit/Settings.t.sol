// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract SettingsTest is MarketTest {
    function _fails(ILotaMarket.Settings memory settings, ILotaMarket.SettingsFault fault) private {
        bytes memory code = bytes.concat(vm.getCode("LotaMarket.sol:LotaMarket"), abi.encode(settings));
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSettings.selector, fault));
        address made;
        assembly {
            made := create(0, add(code, 0x20), mload(code))
        }
    }

    /// @dev From the last fault to the first, each added to those before: the first in order must be named.
    function test_RevertWhen_TheSettingsHaveAFault() external {
        ILotaMarket.Settings memory s = _settings();
        s.signatureGas = 0;
        _fails(s, ILotaMarket.SettingsFault.SignatureGas);
        s.callbackReserve = 19_999;
        _fails(s, ILotaMarket.SettingsFault.CallbackReserve);
        s.minWindow = 90 days + 1;
        _fails(s, ILotaMarket.SettingsFault.MinWindow);
        s.minWindow = 0;
        _fails(s, ILotaMarket.SettingsFault.MinWindow);
        s.quantum = 0;
        _fails(s, ILotaMarket.SettingsFault.Quantum);
        s.asset = stranger.addr;
        _fails(s, ILotaMarket.SettingsFault.Asset);
    }

    function test_WhenTheSettingsAreAtTheirBounds() external {
        ILotaMarket.Settings memory s = ILotaMarket.Settings(address(this), 1, 1, 0, 20_000, 1);
        assertEq(abi.encode(_deploy(s).settings()), abi.encode(s));
        uint32 most = type(uint32).max;
        s = ILotaMarket.Settings(address(0), type(uint64).max, 90 days, most, most, most);
        assertEq(abi.encode(_deploy(s).settings()), abi.encode(s));
    }

    /// @dev The largest quantum there is: nothing overflows, prices are whole quanta of it.
    function test_WhenTheQuantumIsAnother() external {
        ILotaMarket.Settings memory s = _settings();
        s.quantum = type(uint64).max;
        market = _deploy(s);
        uint256 most = ((1 << 48) - 1) * uint256(s.quantum);
        ILotaMarket.Terms memory t = _terms();
        (t.minPrice, t.maxPrice, t.collateral) = (0, most, most);
        _fund(client.addr, 2 * most);
        _fund(provider.addr, most);
        _lock(t);
        uint256 price = market.priceAt(t, uint64(START));
        assertEq(price, most / 10 / s.quantum * s.quantum);
        assertEq(market.dealOf(_jobId(t)).price, price);
        vm.prank(provider.addr);
        market.giveUp(t);
        assertEq(market.balanceOf(client.addr), 2 * most + most / 2);

        (t.salt, t.maxPrice) = (2, 1 ether);
        _expectBadTerms(ILotaMarket.TermsFault.NotWholeQuanta);
        vm.prank(client.addr);
        market.open(t, "");
        t.maxPrice = most + s.quantum;
        _expectBadTerms(ILotaMarket.TermsFault.AmountTooLarge);
        vm.prank(client.addr);
        market.open(t, "");
    }

    /// @dev A signature for the market of one asset is none for that of another.
    function test_RevertWhen_ASignatureIsForAnotherMarket() external {
        ILotaMarket.Terms memory t = _terms();
        bytes memory signature = _signed(t);
        market = _deploy();
        _fund(client.addr, FUNDS);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, client.addr));
        market.openSigned(t, "", signature);
    }
}
