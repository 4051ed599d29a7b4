// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Addresses} from "./Addresses.sol";

/// @title FilecoinAddress: the bytes of Filecoin addresses, and of the EVM addresses that stand for some of them
/// @dev A protocol's byte, then its payload (https://spec.filecoin.io/appendix/address; FIP-0048 for protocol 4):
///
///     f0    00, an actor's id below 2^63 as an unsigned LEB128 of the fewest bytes
///     f1    01, 20 bytes (a secp256k1 key's hash)
///     f2    02, 20 bytes (an actor's)
///     f3    03, 48 bytes (a BLS key)
///     f410  04 0a, the 20 bytes of an EVM address
///
/// No other namespace of protocol 4 exists. None of these has 20 bytes, so 20 bytes are an EVM address.
library FilecoinAddress {
    uint256 private constant _EVM_LENGTH = 20;
    uint256 private constant _MAX_ID_BYTES = 9; // of 7 bits each

    /// @notice These bytes are no address that can be granted anything: of no form above, or the EVM's zero address, or a masked id
    /// (one actor may have it beside its address, or nobody may).
    error BadRecipient(bytes recipient);

    /// @dev The bytes of the Filecoin address that `recipient` is or, as an EVM address, stands for.
    function toFilecoin(bytes calldata recipient) internal pure returns (bytes memory) {
        if (recipient.length == _EVM_LENGTH) return abi.encodePacked(bytes2(0x040a), toEvm(recipient));
        requireFilecoin(recipient);
        return recipient;
    }

    /// @dev The EVM address that `recipient` is, as 20 bytes or as f410.
    function toEvm(bytes calldata recipient) internal pure returns (address account) {
        if (recipient.length == _EVM_LENGTH) {
            account = address(bytes20(recipient));
        } else if (_isF410(recipient)) {
            account = address(bytes20(recipient[2:]));
        }
        if (account == address(0) || Addresses.isMasked(account)) revert BadRecipient(recipient);
    }

    /// @dev Reverts unless these are the bytes of a Filecoin address.
    function requireFilecoin(bytes calldata recipient) internal pure {
        uint256 length = recipient.length;
        if (length != 0) {
            uint8 protocol = uint8(recipient[0]);
            if (protocol == 0 && _isId(recipient[1:])) return;
            if ((protocol == 1 || protocol == 2) && length == 21) return;
            if (protocol == 3 && length == 49) return;
            if (_isF410(recipient)) {
                toEvm(recipient);
                return;
            }
        }
        revert BadRecipient(recipient);
    }

    function _isF410(bytes calldata recipient) private pure returns (bool) {
        return recipient.length == _EVM_LENGTH + 2 && bytes2(recipient) == 0x040a;
    }

    /// @dev Whether this is one number below 2^63, and nothing else: all bytes but the last have the highest bit, and the last is not
    /// zero unless it is alone.
    function _isId(bytes calldata number) private pure returns (bool) {
        uint256 length = number.length;
        if (length == 0 || length > _MAX_ID_BYTES) return false;
        for (uint256 i = 0; i + 1 < length; ++i) {
            if (uint8(number[i]) < 0x80) return false;
        }
        uint8 last = uint8(number[length - 1]);
        return last < 0x80 && (last != 0 || length == 1);
    }
}
