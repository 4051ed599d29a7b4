// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IBlessing} from "../interfaces/IBlessing.sol";
import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {Addresses} from "../libraries/Addresses.sol";
import {Asset} from "../libraries/Asset.sol";
import {BlessingHashes} from "../libraries/BlessingHashes.sol";
import {Hashes} from "../libraries/Hashes.sol";

/// @title BlessingAccounts: what is fixed at the deployment, and everybody's money
abstract contract BlessingAccounts is IBlessing {
    uint256 private constant _MAX_PERIOD = 365 days;

    ILotaMarket internal immutable _MARKET;
    address internal immutable _ASSET;
    bytes32 internal immutable _MARKET_DOMAIN;
    uint256 internal immutable _CALL_RESERVE;
    uint256 internal immutable _SIGNATURE_GAS;
    uint256 internal immutable _CHAIN_ID = block.chainid;
    bytes32 internal immutable _DOMAIN = BlessingHashes.domainSeparator();

    uint128 internal immutable _DEPOSIT;
    uint32 internal immutable _VOTE_FOR;
    uint32 internal immutable _REVOKE_FOR;
    uint32 internal immutable _GRANT_FOR;
    uint32 internal immutable _LIMIT_PERIOD;
    uint32 internal immutable _GRANTER_GAS;

    mapping(address account => uint256) private _balances;
    mapping(address provider => uint256) private _pools;
    uint256 internal _burned;

    bool private transient _calling; // a granter, the token or a payee

    modifier notWhileCalling() {
        _requireIdle();
        _;
    }

    /// @dev Behind {notWhileCalling}: keeps everybody out.
    modifier whileCalling() {
        _calling = true;
        _;
        _calling = false;
    }

    constructor(ILotaMarket fixedMarket, Settings memory s) {
        if (address(fixedMarket).code.length == 0) revert BadDeployment(DeploymentFault.Market);
        _MARKET = fixedMarket;
        _MARKET_DOMAIN = keccak256(
            abi.encode(
                Hashes.DOMAIN_TYPEHASH, keccak256("LotaMarket"), keccak256("1"), block.chainid, address(fixedMarket)
            )
        );
        ILotaMarket.Settings memory ofMarket = fixedMarket.settings();
        (_ASSET, _CALL_RESERVE, _SIGNATURE_GAS) = (ofMarket.asset, ofMarket.callbackReserve, ofMarket.signatureGas);
        ILotaMarket.Terms memory none;
        if (fixedMarket.jobIdOf(none) != Hashes.typed(_MARKET_DOMAIN, Hashes.ofTerms(none))) {
            revert BadDeployment(DeploymentFault.Market);
        }
        uint32[4] memory periods = [s.voteFor, s.revokeFor, s.grantFor, s.limitPeriod];
        for (uint256 i = 0; i < periods.length; ++i) {
            if (periods[i] == 0 || periods[i] > _MAX_PERIOD) revert BadDeployment(DeploymentFault.Period);
        }
        if (s.grantFor <= s.limitPeriod) revert BadDeployment(DeploymentFault.Period);
        if (s.granterGas == 0) revert BadDeployment(DeploymentFault.GranterGas);
        (_DEPOSIT, _VOTE_FOR, _REVOKE_FOR) = (s.deposit, s.voteFor, s.revokeFor);
        (_GRANT_FOR, _LIMIT_PERIOD, _GRANTER_GAS) = (s.grantFor, s.limitPeriod, s.granterGas);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Accounts
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IBlessing
    function fund() external payable notWhileCalling {
        if (_ASSET != address(0)) revert ILotaMarket.WrongAsset(_ASSET);
        Asset.requireRoom(_ASSET);
        _credit(msg.sender, msg.value);
        emit Funded(msg.sender, msg.sender, msg.value);
    }

    /// @inheritdoc IBlessing
    function fundToken(uint256 amount) external notWhileCalling {
        if (_ASSET == address(0)) revert ILotaMarket.WrongAsset(_ASSET);
        _pull(amount);
        _credit(msg.sender, amount);
        emit Funded(msg.sender, msg.sender, amount);
    }

    /// @inheritdoc IBlessing
    function withdraw(address to, uint256 amount) external notWhileCalling {
        if (Addresses.isRefused(to)) revert ILotaMarket.InvalidRecipient();
        _debit(msg.sender, amount);
        emit Defunded(msg.sender, to, amount);
        _pay(to, amount);
    }

    /// @inheritdoc IBlessing
    function setAside(uint256 amount) external notWhileCalling {
        _debit(msg.sender, amount);
        _pools[msg.sender] += amount;
        emit SetAside(msg.sender, amount);
    }

    /// @inheritdoc IBlessing
    function takeBack(uint256 amount) external notWhileCalling {
        _takeFromPool(msg.sender, amount);
        _credit(msg.sender, amount);
        emit TakenBack(msg.sender, amount);
    }

    function _pull(uint256 amount) private whileCalling {
        Asset.pull(_ASSET, msg.sender, amount);
    }

    function _pay(address to, uint256 amount) private whileCalling {
        Asset.pay(_ASSET, to, amount);
    }

    function _credit(address account, uint256 amount) internal {
        if (amount != 0) _balances[account] += amount;
    }

    function _debit(address account, uint256 amount) internal {
        uint256 balance = _balances[account];
        if (balance < amount) revert ILotaMarket.InsufficientBalance(account, balance, amount);
        _balances[account] = balance - amount;
    }

    function _giveToPool(address provider, uint256 amount) internal {
        if (amount != 0) _pools[provider] += amount;
    }

    function _takeFromPool(address provider, uint256 amount) internal {
        uint256 pool = _pools[provider];
        if (pool < amount) revert InsufficientPool(provider, pool, amount);
        if (amount != 0) _pools[provider] = pool - amount;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IBlessing
    function market() external view returns (ILotaMarket) {
        return _MARKET;
    }

    /// @inheritdoc IBlessing
    function settings() external view returns (Settings memory) {
        return Settings(_DEPOSIT, _VOTE_FOR, _REVOKE_FOR, _GRANT_FOR, _LIMIT_PERIOD, _GRANTER_GAS);
    }

    /// @inheritdoc IBlessing
    function balanceOf(address account) external view returns (uint256) {
        return _balances[account];
    }

    /// @inheritdoc IBlessing
    function poolOf(address provider) external view returns (uint256) {
        return _pools[provider];
    }

    /// @inheritdoc IBlessing
    function burned() external view returns (uint256) {
        return _burned;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Checks
    // ------------------------------------------------------------------------------------------------------------

    function _requireUntil(uint256 deadline) internal view {
        if (block.timestamp > deadline) revert ILotaMarket.TooLate(block.timestamp, deadline);
    }

    function _requireAfter(uint256 deadline) internal view {
        if (block.timestamp <= deadline) revert ILotaMarket.TooEarly(block.timestamp, deadline + 1);
    }

    function _requireIdle() private view {
        if (_calling) revert ILotaMarket.Reentered();
    }
}
