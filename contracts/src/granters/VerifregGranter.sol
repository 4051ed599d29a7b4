// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {Granter} from "../abstracts/Granter.sol";
import {Grant, IGranter} from "../interfaces/IGranter.sol";
import {BuiltinActors} from "../libraries/BuiltinActors.sol";
import {FilecoinAddress} from "../libraries/FilecoinAddress.sol";

/// @title VerifregGranter: DataCap from the verified registry (f06), as one of its verifiers
/// @notice The registry's root key must have made this contract a verifier; what it was allowed then is the limit of all grants
/// together. Amounts are bytes of DataCap. Once FIP-0118 is active the registry refuses all of it: {FilPlusEnded}.
/// @dev AddVerifiedClient by its exported method number (FRC-0042), params [address, amount] (builtin-actors, actors/verifreg). How
/// much this contract may still grant cannot be read: the registry has no method for that.
contract VerifregGranter is Granter {
    /// @notice The least that the registry grants at once, in bytes: 1 MiB.
    uint256 public constant MIN_AMOUNT = 1 << 20;
    uint64 private constant _REGISTRY = 6;
    uint64 private constant _ADD_VERIFIED_CLIENT = 3_916_220_144;

    int256 private constant _ILLEGAL_ARGUMENT = 16;
    int256 private constant _NOT_FOUND = 17;
    int256 private constant _FORBIDDEN = 18;

    /// @notice The registry grants at least `least` bytes at once.
    error AmountTooSmall(uint256 amount, uint256 least);
    /// @notice The registry refused the amount (exit code 16): more than this contract is still allowed; or the client is a verifier
    /// itself, or the registry's root.
    error AmountRefused(uint256 amount);
    /// @notice This contract is not a verifier (17), or no longer; or no actor has the id that is the client's address.
    error NotAVerifier();
    /// @notice The registry grants nothing any more (18): FIL+ has ended.
    error FilPlusEnded();
    /// @notice The registry failed with another exit code; below 0 it is the system's.
    error RegistryFailed(int256 exitCode);

    constructor(address blessing) Granter(blessing) {}

    /// @inheritdoc IGranter
    /// @dev {FilecoinAddress-BadRecipient}, {AmountTooSmall}.
    function checkGrant(address, bytes calldata recipient, uint256 amount) external pure {
        _check(recipient, amount);
    }

    /// @inheritdoc IGranter
    /// @dev {NotTheBlessing}, then as {checkGrant}; then what the registry answers: {AmountRefused}, {NotAVerifier}, {FilPlusEnded},
    /// {RegistryFailed}; {BuiltinActors-NoBuiltinActors}. Emits {Granted}.
    function grant(Grant calldata g) external onlyBlessing {
        bytes memory client = _check(g.recipient, g.amount);
        _emitGranted(g);
        bytes memory params =
            abi.encodePacked(bytes1(0x82), BuiltinActors.byteString(client), BuiltinActors.bigInt(g.amount));
        (int256 exitCode,) = BuiltinActors.call(_REGISTRY, _ADD_VERIFIED_CLIENT, params);
        if (exitCode == 0) return;
        if (exitCode == _ILLEGAL_ARGUMENT) revert AmountRefused(g.amount);
        if (exitCode == _NOT_FOUND) revert NotAVerifier();
        if (exitCode == _FORBIDDEN) revert FilPlusEnded();
        revert RegistryFailed(exitCode);
    }

    function _check(bytes calldata recipient, uint256 amount) private pure returns (bytes memory client) {
        client = FilecoinAddress.toFilecoin(recipient);
        if (amount < MIN_AMOUNT) revert AmountTooSmall(amount, MIN_AMOUNT);
    }
}
