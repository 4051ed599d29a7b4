// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {Hashes} from "../libraries/Hashes.sol";
import {TermsRules} from "../libraries/TermsRules.sol";

/// @title Deployment: what is fixed when the market is deployed
abstract contract Deployment is ILotaMarket {
    uint256 private constant _MIN_CALLBACK_RESERVE = 20_000;

    address internal immutable _ASSET;
    uint64 internal immutable _QUANTUM;
    uint32 internal immutable _MIN_WINDOW;
    uint32 internal immutable _MAX_CALLBACK_GAS;
    uint32 internal immutable _CALLBACK_RESERVE;
    uint32 internal immutable _SIGNATURE_GAS;
    uint256 internal immutable _CHAIN_ID = block.chainid;
    bytes32 internal immutable _DOMAIN = Hashes.domainSeparator();

    constructor(Settings memory s) {
        if (s.asset != address(0) && s.asset.code.length == 0) revert BadSettings(SettingsFault.Asset);
        if (s.quantum == 0) revert BadSettings(SettingsFault.Quantum);
        if (s.minWindow == 0 || s.minWindow > TermsRules.MAX_WINDOW) revert BadSettings(SettingsFault.MinWindow);
        if (s.callbackReserve < _MIN_CALLBACK_RESERVE) revert BadSettings(SettingsFault.CallbackReserve);
        if (s.signatureGas == 0) revert BadSettings(SettingsFault.SignatureGas);
        _ASSET = s.asset;
        _QUANTUM = s.quantum;
        _MIN_WINDOW = s.minWindow;
        _MAX_CALLBACK_GAS = s.maxCallbackGas;
        _CALLBACK_RESERVE = s.callbackReserve;
        _SIGNATURE_GAS = s.signatureGas;
    }

    /// @inheritdoc ILotaMarket
    function settings() external view returns (Settings memory) {
        return Settings(_ASSET, _QUANTUM, _MIN_WINDOW, _MAX_CALLBACK_GAS, _CALLBACK_RESERVE, _SIGNATURE_GAS);
    }
}
