// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title Json: text for the inside of a JSON string (RFC 8259, section 7)
library Json {
    bytes16 private constant _HEX = "0123456789abcdef";

    /// @notice The text is not UTF-8; the byte at `at` is the first that cannot be.
    error NotUtf8(uint256 at);

    /// @notice Escapes quotation mark, backslash and control characters; everything else stays.
    /// @dev Reverts with {NotUtf8}: a document with such bytes is no JSON, and no node would read it.
    function escape(string memory text) internal pure returns (string memory) {
        bytes memory input = bytes(text);
        requireUtf8(input);
        bytes memory output = new bytes(input.length * 6);
        uint256 size = 0;
        for (uint256 i = 0; i < input.length; ++i) {
            bytes1 char = input[i];
            if (char == '"' || char == "\\") {
                output[size++] = "\\";
                output[size++] = char;
            } else if (uint8(char) < 0x20) {
                output[size++] = "\\";
                output[size++] = "u";
                output[size++] = "0";
                output[size++] = "0";
                output[size++] = _HEX[uint8(char) >> 4];
                output[size++] = _HEX[uint8(char) & 15];
            } else {
                output[size++] = char;
            }
        }
        assembly ("memory-safe") {
            mstore(output, size) // the rest of it is never used
        }
        return string(output);
    }

    /// @dev The well-formed byte sequences of the Unicode Standard, table 3-7.
    function requireUtf8(bytes memory input) internal pure {
        uint256 i = 0;
        while (i < input.length) {
            uint8 first = uint8(input[i]);
            if (first < 0x80) {
                ++i;
                continue;
            }
            uint256 more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
            if (first < 0xc2 || first > 0xf4 || i + more >= input.length) revert NotUtf8(i);
            uint8 second = uint8(input[i + 1]);
            bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
            bool outside = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
            if (overlong || outside) revert NotUtf8(i);
            for (uint256 j = 1; j <= more; ++j) {
                if (uint8(input[i + j]) & 0xc0 != 0x80) revert NotUtf8(i);
            }
            i += more + 1;
        }
    }
}
