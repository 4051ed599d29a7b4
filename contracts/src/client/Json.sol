// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title Json: values of JSON documents (RFC 8259)
library Json {
    bytes16 private constant _HEX = "0123456789abcdef";

    /// @notice The text is not UTF-8; the byte at `at` is the first that cannot be.
    error NotUtf8(uint256 at);

    /// @notice The text as a JSON string, with its quotation marks. Reverts with {NotUtf8}.
    function quote(string memory text) internal pure returns (string memory) {
        return string.concat('"', escape(text), '"');
    }

    /// @notice Escapes quotation mark, backslash and control characters (section 7); everything else stays.
    /// @dev Reverts with {NotUtf8}: a document with such bytes is no JSON, and no node would read it.
    function escape(string memory text) internal pure returns (string memory) {
        bytes memory input = bytes(text);
        uint256 more = _growth(input);
        if (more == 0) return text;
        bytes memory output = new bytes(input.length + more);
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
        return string(output);
    }

    /// @notice A number in decimal digits.
    function number(uint256 value) internal pure returns (string memory) {
        uint256 size = 1;
        for (uint256 rest = value / 10; rest != 0; rest /= 10) {
            ++size;
        }
        bytes memory digits = new bytes(size);
        for (; size != 0; value /= 10) {
            digits[--size] = bytes1(uint8(0x30 + value % 10));
        }
        return string(digits);
    }

    /// @dev By how many bytes escaping makes the text longer. Refuses what is not one of the well-formed byte sequences of the
    /// Unicode Standard, table 3-7.
    function _growth(bytes memory input) private pure returns (uint256 growth) {
        uint256 i = 0;
        while (i < input.length) {
            uint8 first = uint8(input[i]);
            if (first < 0x80) {
                if (first == 0x22 || first == 0x5c) growth += 1;
                else if (first < 0x20) growth += 5;
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
