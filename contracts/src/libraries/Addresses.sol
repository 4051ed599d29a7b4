// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title Addresses: which ones cannot be trusted to stand for one party
library Addresses {
    /// @dev The highest 12 bytes of a masked id: 0xff and eleven zeros; an actor's id of 8 bytes follows.
    uint256 private constant _MASK = 0xff << 88;

    /// @dev On Filecoin an actor may have a masked id beside its address, or nobody may have it.
    function isMasked(address account) internal pure returns (bool) {
        return uint160(account) >> 64 == _MASK;
    }

    /// @dev A masked id that comes as the sender is somebody's only address.
    function isForeignMasked(address account) internal view returns (bool) {
        return isMasked(account) && account != msg.sender;
    }

    /// @dev Whether money or a job can be given to `account`.
    function isRefused(address account) internal view returns (bool) {
        return account == address(0) || isForeignMasked(account);
    }
}
