// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Cid} from "../../src/client/Cid.sol";
import {Input, JobSpec, JobSpecs, Limits, Variable} from "../../src/client/JobSpec.sol";
import {Test} from "../base/Test.sol";

contract JobSpecCaller {
    function limited(Limits calldata limits) external pure returns (string memory) {
        return string(JobSpecs.wasm("bafy", limits).toJson());
    }
}

contract JobSpecTest is Test {
    JobSpecCaller private caller = new JobSpecCaller();

    function _limits() private pure returns (Limits memory) {
        return Limits({fuel: 50e9, memoryBytes: 268_435_456, outputBytes: 16_777_216, entries: 1000, wall: 600});
    }

    function test_WhatIsEmptyIsLeftOut() external pure {
        assertEq(
            string(JobSpecs.wasm("bafy", _limits()).toJson()),
            '{"version":1,"engine":{"type":"wasm","module":"bafy"},"limits":{"fuel":50000000000,"memory":268435456,'
            '"output":16777216,"entries":1000,"wall":600}}'
        );
    }

    /// @dev The example of docs/spec.md, but for its labels.
    function test_EverythingIsWritten() external pure {
        JobSpec memory spec = JobSpecs.wasm("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", _limits());
        spec.entry = "_start";
        spec.args = new string[](2);
        (spec.args[0], spec.args[1]) = ("resize", "--width");
        spec.env = new Variable[](2);
        spec.env[0] = Variable("RUST_LOG", "info,resize=debug");
        spec.env[1] = Variable("B", "");
        spec.inputs = new Input[](2);
        spec.inputs[0].cid = "bafybeidskjjd4zmr7oh6ku6wp72vvbxyibcli2r6if3ocdcy7jjjusvl2u";
        spec.inputs[1] = Input("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", "/inputs/palette.json");
        spec.outputs = "/outputs";
        assertEq(
            string(spec.toJson()),
            '{"version":1,"engine":{"type":"wasm","module":"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",'
            '"entry":"_start"},"args":["resize","--width"],"env":{"RUST_LOG":"info,resize=debug","B":""},"inputs":['
            '{"cid":"bafybeidskjjd4zmr7oh6ku6wp72vvbxyibcli2r6if3ocdcy7jjjusvl2u"},'
            '{"cid":"bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy","path":"/inputs/palette.json"}],'
            '"outputs":"/outputs","limits":{"fuel":50000000000,"memory":268435456,"output":16777216,"entries":1000,"wall":600}}'
        );
    }

    /// @dev No text, wherever it stands, is more than a string.
    function testFuzz_AllTextStaysText(string calldata text) external pure {
        JobSpec memory spec = JobSpecs.wasm(text, _limits());
        spec.entry = string.concat("e", text);
        spec.args = new string[](1);
        spec.args[0] = text;
        spec.env = new Variable[](1);
        spec.env[0] = Variable("NAME", text);
        spec.inputs = new Input[](1);
        spec.inputs[0] = Input(text, string.concat("/", text));
        spec.outputs = string.concat("/", text);
        string memory json = string(spec.toJson());
        assertEq(vm.parseJsonString(json, ".engine.module"), text);
        assertEq(vm.parseJsonString(json, ".engine.entry"), spec.entry);
        assertEq(vm.parseJsonStringArray(json, ".args").length, 1);
        assertEq(vm.parseJsonString(json, ".args[0]"), text);
        assertEq(vm.parseJsonString(json, ".env.NAME"), text);
        assertEq(vm.parseJsonString(json, ".inputs[0].cid"), text);
        assertEq(vm.parseJsonString(json, ".inputs[0].path"), spec.outputs);
        assertEq(vm.parseJsonString(json, ".outputs"), spec.outputs);
        assertEq(vm.parseJsonUint(json, ".limits.wall"), 600);
    }

    function test_ANameOfAVariableStaysAName() external pure {
        JobSpec memory spec = JobSpecs.wasm("bafy", _limits());
        spec.env = new Variable[](1);
        spec.env[0] = Variable('A":"1","B', "2");
        string[] memory names = vm.parseJsonKeys(string(spec.toJson()), ".env");
        assertEq(names.length, 1);
        assertEq(names[0], spec.env[0].name);
    }

    function test_LimitsAtTheirEndsPass() external view {
        caller.limited(Limits(1, 65_536, 1, 1, 1));
        uint64 most = type(uint64).max;
        caller.limited(Limits(most, 4_294_967_296, most, most, 90 days));
    }

    function test_RevertWhen_ALimitIsOutOfRange() external {
        uint64 most = type(uint64).max;
        _refused(Limits(0, 65_536, 1, 1, 1), "fuel", 0, 1, most);
        _refused(Limits(1, 65_535, 1, 1, 1), "memory", 65_535, 65_536, 4_294_967_296);
        _refused(Limits(1, 4_294_967_297, 1, 1, 1), "memory", 4_294_967_297, 65_536, 4_294_967_296);
        _refused(Limits(1, 65_536, 0, 1, 1), "output", 0, 1, most);
        _refused(Limits(1, 65_536, 1, 0, 1), "entries", 0, 1, most);
        _refused(Limits(1, 65_536, 1, 1, 0), "wall", 0, 1, 90 days);
        _refused(Limits(1, 65_536, 1, 1, 90 days + 1), "wall", 90 days + 1, 1, 90 days);
    }

    function _refused(Limits memory limits, string memory name, uint256 value, uint256 least, uint256 most) private {
        vm.expectRevert(abi.encodeWithSelector(JobSpecs.LimitOutOfRange.selector, name, value, least, most));
        caller.limited(limits);
    }

    // ------------------------------------------------------------------------------------------------------------
    // CIDs
    // ------------------------------------------------------------------------------------------------------------

    /// @dev The empty directory, known by this name everywhere; and three that Python's base64 module wrote.
    function test_CidsOfOutputs() external pure {
        assertEq(
            Cid.ofOutput(0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855),
            "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
        );
        assertEq(Cid.ofOutput(0), "bafybeiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        assertEq(
            Cid.ofOutput(bytes32(type(uint256).max)), "bafybeih777777777777777777777777777777777777777777777777774"
        );
        assertEq(Cid.ofOutput(sha256(hex"0a020801")), "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354");
    }

    /// @dev Reading the text back, five bits for each character, gives the bytes.
    function testFuzz_CidsAreReadBack(bytes32 digest) external pure {
        bytes memory text = bytes(Cid.ofOutput(digest));
        assertEq(text.length, 59);
        assertEq(text[0], "b");
        uint256 high = 0;
        uint256 low = 0; // of a number of 512 bits
        for (uint256 i = 1; i < 59; ++i) {
            uint8 char = uint8(text[i]);
            bool letter = char >= 0x61 && char <= 0x7a;
            assertTrue(letter || (char >= 0x32 && char <= 0x37));
            high = high << 5 | low >> 251;
            low = low << 5 | (letter ? char - 0x61 : char - 0x32 + 26);
        }
        assertEq(low & 3, 0, "two bits too many");
        assertEq(low >> 2 | high << 254, uint256(digest));
        assertEq(high >> 2, 0x01701220);
    }
}
