// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {Granter} from "../abstracts/Granter.sol";
import {Grant, IGranter} from "../interfaces/IGranter.sol";
import {BuiltinActors} from "../libraries/BuiltinActors.sol";
import {FilecoinAddress} from "../libraries/FilecoinAddress.sol";

/// @title IMetaAllocator: what is used of a MetaAllocator, a contract that is a verifier and shares its DataCap among allocators
/// @dev https://github.com/fidlabs/contract-metaallocator, src/interfaces/IAllocator.sol at 41811a8.
interface IMetaAllocator {
    function allowance(address allocator) external view returns (uint256);
    function addVerifiedClient(bytes calldata clientAddress, uint256 amount) external;
}

/// @title MetaAllocatorGranter: DataCap from a MetaAllocator, as one of its allocators
/// @notice The MetaAllocator's owner must have given this contract an allowance. Amounts are bytes of DataCap. Its owner may replace
/// the MetaAllocator's code: so what it says is believed only as far as the client's DataCap bears it out.
contract MetaAllocatorGranter is Granter {
    /// @notice The least that the verified registry grants at once, in bytes: 1 MiB.
    uint256 public constant MIN_AMOUNT = 1 << 20;
    uint64 private constant _DATACAP = 7;
    uint64 private constant _BALANCE = 3_261_979_605;
    /// @dev A token's unit for each byte.
    uint256 private constant _BYTE = 1e18;

    /// @notice The MetaAllocator.
    IMetaAllocator public immutable ALLOCATOR;

    /// @notice No contract stands there.
    error NoAllocator(address allocator);
    /// @notice The registry grants at least `least` bytes at once.
    error AmountTooSmall(uint256 amount, uint256 least);
    /// @notice The MetaAllocator allows this contract no more than `allowance`.
    error AllowanceTooSmall(uint256 allowance, uint256 amount);
    /// @notice The MetaAllocator refused with this error; empty, or of the registry's: FIL+ may have ended.
    error AllocatorRefused(bytes reason);
    /// @notice The client's DataCap grew by `granted` bytes, and not by `amount`: the MetaAllocator does not look at exit codes. Without
    /// this error FIL+ would end with grants that granted nothing.
    error NotGranted(uint256 granted, uint256 amount);
    /// @notice The DataCap actor (f07) does not tell balances: its exit code.
    error BalanceUnknown(int256 exitCode);

    constructor(address blessing, IMetaAllocator allocator) Granter(blessing) {
        if (address(allocator).code.length == 0) revert NoAllocator(address(allocator));
        ALLOCATOR = allocator;
    }

    /// @inheritdoc IGranter
    /// @dev {FilecoinAddress-BadRecipient}, {AmountTooSmall}, {AllowanceTooSmall}.
    function checkGrant(address, bytes calldata recipient, uint256 amount) external view {
        _check(recipient, amount);
    }

    /// @inheritdoc IGranter
    /// @dev {NotTheBlessing}, then as {checkGrant}; then {AllocatorRefused}, {NotGranted}. Emits {Granted}.
    function grant(Grant calldata g) external onlyBlessing {
        bytes memory client = _check(g.recipient, g.amount);
        _emitGranted(g);
        uint256 before = _dataCapOf(client);
        try ALLOCATOR.addVerifiedClient(client, g.amount) {}
        catch (bytes memory reason) {
            revert AllocatorRefused(reason);
        }
        uint256 afterwards = _dataCapOf(client);
        uint256 granted = afterwards > before ? (afterwards - before) / _BYTE : 0;
        if (granted != g.amount) revert NotGranted(granted, g.amount);
    }

    function _check(bytes calldata recipient, uint256 amount) private view returns (bytes memory client) {
        client = FilecoinAddress.toFilecoin(recipient);
        if (amount < MIN_AMOUNT) revert AmountTooSmall(amount, MIN_AMOUNT);
        uint256 allowance = ALLOCATOR.allowance(address(this));
        if (allowance < amount) revert AllowanceTooSmall(allowance, amount);
    }

    function _dataCapOf(bytes memory client) private returns (uint256) {
        (int256 exitCode, bytes memory returned) =
            BuiltinActors.call(_DATACAP, _BALANCE, BuiltinActors.byteString(client));
        if (exitCode != 0) revert BalanceUnknown(exitCode);
        return BuiltinActors.toNumber(returned);
    }
}
