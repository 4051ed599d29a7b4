// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Json} from "../../src/client/Json.sol";
import {Test} from "../base/Test.sol";

/// @dev Makes the library's reverts happen in a call.
contract JsonCaller {
    function escape(string calldata text) external pure returns (string memory) {
        return Json.escape(text);
    }

    function escapeBytes(bytes calldata text) external pure returns (string memory) {
        return Json.escape(string(text));
    }
}

contract JsonTest is Test {
    JsonCaller private json = new JsonCaller();

    function test_ControlCharactersAreEscaped() external view {
        assertEq(json.escape("a\tb\n\r\x00\x1f\x7f"), "a\\u0009b\\u000a\\u000d\\u0000\\u001f\x7f");
        assertEq(json.escape('say "\\"'), 'say \\"\\\\\\"');
        assertEq(json.escape(""), "");
    }

    function testFuzz_EscapedTextIsReadBack(string calldata text) external view {
        string memory document = string.concat('{"args":["', json.escape(text), '"]}');
        assertEq(vm.parseJsonString(document, ".args[0]"), text);
    }

    function test_TextOfAllLengthsOfUtf8Passes() external view {
        string memory text = unicode"aé€𝄞 ߿ࠀ퟿�𐀀";
        assertEq(json.escape(text), text);
        assertEq(bytes(json.escapeBytes(hex"f48fbfbf")), hex"f48fbfbf"); // U+10FFFF
    }

    function test_WhatIsNotUtf8IsRefused() external {
        bytes[14] memory wrong = [
            bytes(hex"80"), // a continuation alone
            hex"c080", // overlong
            hex"c1bf",
            hex"e08080",
            hex"e09fbf",
            hex"f08fbfbf",
            hex"eda080", // a surrogate
            hex"edbfbf",
            hex"f4908080", // above U+10FFFF
            hex"f5808080",
            hex"c3", // cut off
            hex"e282",
            hex"f09d84",
            hex"c341" // no continuation
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Json.NotUtf8.selector, 1));
            json.escapeBytes(bytes.concat("a", wrong[i]));
        }
    }

    function test_NumbersAreDecimal() external pure {
        assertEq(Json.number(0), "0");
        assertEq(Json.number(7), "7");
        assertEq(Json.number(10), "10");
        assertEq(Json.number(type(uint256).max), vm.toString(type(uint256).max));
    }

    function testFuzz_NumbersAreDecimal(uint256 value, uint8 shift) external pure {
        assertEq(Json.number(value >> shift), vm.toString(value >> shift));
    }
}
