// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {CappedCall} from "./CappedCall.sol";

/// @title Signatures: ECDSA first, then ERC-1271 with capped gas
/// @dev ECDSA signatures have 65 bytes (r, s, v with v = 27 or 28) or 64 (r, yParityAndS: EIP-2098), and the lower s of
/// the two that would do (EIP-2). ECDSA comes first so that the keys of accounts with delegated code (EIP-7702) work.
library Signatures {
    /// @dev Half the order of secp256k1, rounded down.
    uint256 private constant _MAX_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    bytes4 private constant _ERC1271 = 0x1626ba7e; // isValidSignature(bytes32,bytes), the magic value as well

    /// @param gasLimit gas that an ERC-1271 wallet gets
    /// @param gasReserve gas that must remain beside it, or {ILotaMarket-InsufficientGas}: so a wallet's signature cannot
    /// be made to look wrong by sending little gas along
    function isValid(address signer, bytes32 digest, bytes calldata signature, uint256 gasLimit, uint256 gasReserve)
        internal
        view
        returns (bool)
    {
        address recovered = recover(digest, signature);
        if (recovered != address(0) && recovered == signer) return true;
        if (signer.code.length == 0) return false;
        bytes memory data = abi.encodeWithSelector(_ERC1271, digest, signature);
        CappedCall.requireGas(gasLimit, gasReserve);
        (bool success, uint256 word) = CappedCall.read(signer, data, gasLimit);
        return success && bytes32(word) == bytes32(_ERC1271);
    }

    /// @dev The account that made an ECDSA signature; zero when it is not a proper one.
    function recover(bytes32 digest, bytes calldata signature) internal pure returns (address) {
        if (signature.length != 64 && signature.length != 65) return address(0);
        (bytes32 r, uint256 s) = abi.decode(signature, (bytes32, uint256));
        uint256 v;
        if (signature.length == 65) {
            v = uint8(signature[64]);
        } else {
            v = 27 + (s >> 255);
            s = (s << 1) >> 1;
        }
        if (s > _MAX_S) return address(0);
        return ecrecover(digest, uint8(v), r, bytes32(s));
    }
}
