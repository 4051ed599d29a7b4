// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title Cbor: reads CBOR as strictly as Filecoin's actors write it
/// @dev RFC 8949, deterministically encoded: each length and number in the fewest bytes, nothing of indefinite length. A position is an
/// index into `data`; each function gives the one behind what it read.
library Cbor {
    uint8 internal constant UNSIGNED = 0;
    uint8 internal constant BYTES = 2;
    uint8 internal constant ARRAY = 4;
    uint8 internal constant TAG = 6;
    uint64 private constant _CID_TAG = 42;

    /// @notice At this byte stands something else than what is expected there, or not in the form of the fewest bytes.
    error BadCbor(uint256 position);

    /// @dev The head of something of this major type: its number, which is a value, a length or a tag.
    function head(bytes calldata data, uint256 position, uint8 major)
        internal
        pure
        returns (uint64 number, uint256 next)
    {
        bool good;
        (good, number, next) = tryHead(data, position, major);
        if (!good) revert BadCbor(position);
    }

    function tryHead(bytes calldata data, uint256 position, uint8 major)
        internal
        pure
        returns (bool good, uint64 number, uint256 next)
    {
        if (position >= data.length) return (false, 0, position);
        uint8 first = uint8(data[position]);
        uint8 low = first & 0x1f;
        next = position + 1;
        if (first >> 5 != major || low > 27) return (false, 0, position);
        if (low < 24) return (true, low, next);
        uint256 length = 1 << (low - 24);
        if (data.length - next < length) return (false, 0, position);
        for (uint256 i = 0; i < length; ++i) {
            number = number << 8 | uint8(data[next++]);
        }
        good = low == 24 ? number > 23 : number >> 4 * length != 0;
    }

    /// @dev A byte string.
    function byteString(bytes calldata data, uint256 position)
        internal
        pure
        returns (bytes calldata content, uint256 next)
    {
        (uint64 length, uint256 start) = head(data, position, BYTES);
        if (data.length - start < length) revert BadCbor(position);
        next = start + length;
        content = data[start:next];
    }

    /// @dev A CID, as DAG-CBOR has it: tag 42, and a byte string of 00 and the CID.
    function cid(bytes calldata data, uint256 position) internal pure returns (bytes calldata content, uint256 next) {
        (uint64 tag, uint256 start) = head(data, position, TAG);
        if (tag != _CID_TAG) revert BadCbor(position);
        (content, next) = byteString(data, start);
        if (content.length == 0 || content[0] != 0x00) revert BadCbor(start);
        content = content[1:];
    }

    /// @dev The head of an array of this length.
    function arrayOf(bytes calldata data, uint256 position, uint64 length) internal pure returns (uint256 next) {
        uint64 found;
        (found, next) = head(data, position, ARRAY);
        if (found != length) revert BadCbor(position);
    }

    /// @dev The head of an array, written.
    function arrayHead(uint64 length) internal pure returns (bytes memory) {
        if (length < 24) return abi.encodePacked(uint8(0x80 + length));
        if (length <= type(uint8).max) return abi.encodePacked(uint8(0x98), uint8(length));
        if (length <= type(uint16).max) return abi.encodePacked(uint8(0x99), uint16(length));
        return abi.encodePacked(uint8(0x9a), uint32(length));
    }
}
