// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Json} from "./Json.sol";

/// @notice What to run: a job specification, version 1 (docs/spec.md). What is empty takes its default there.
/// @param module CID of the WebAssembly module
/// @param entry the exported function that is called; "_start" by default
/// @param args the program's arguments, without its own name
/// @param env its environment variables; all names differ
/// @param inputs what is mounted for it, read-only
/// @param outputs absolute path of the directory whose contents are the output; "/outputs" by default
struct JobSpec {
    string module;
    string entry;
    string[] args;
    Variable[] env;
    Input[] inputs;
    string outputs;
    Limits limits;
}

struct Variable {
    string name;
    string value;
}

/// @param cid CID of a file or directory
/// @param path absolute path it is mounted at; by default "/inputs" for a single input, else "/inputs/<n>"
struct Input {
    string cid;
    string path;
}

/// @notice What the program may use; one that exhausts a limit has a result all the same, and is paid for.
/// @param fuel about one unit per WebAssembly instruction, and one per byte that host calls move
/// @param memoryBytes from 65,536 to 4,294,967,296
/// @param outputBytes of output files, stdout and stderr together
/// @param entries files and directories in the output
/// @param wall seconds on the provider's clock, at most 90 days; less than the terms' runFor
struct Limits {
    uint64 fuel;
    uint64 memoryBytes;
    uint64 outputBytes;
    uint64 entries;
    uint64 wall;
}

/// @title JobSpecs: makes the JSON of a job spec
/// @dev All text is escaped, so that what strangers wrote remains one string. It is not checked further: a spec that nodes refuse
/// (a CID that is none, a NUL character) waits until `lockBy`, and its money comes back.
library JobSpecs {
    /// @notice The limit must lie within [least, most].
    error LimitOutOfRange(string limit, uint256 value, uint256 least, uint256 most);

    /// @notice A spec that runs the module at this CID, without arguments and inputs.
    function wasm(string memory module, Limits memory limits) internal pure returns (JobSpec memory spec) {
        spec.module = module;
        spec.limits = limits;
    }

    /// @notice The spec's bytes in the codec 0x55.
    /// @dev Reverts with {LimitOutOfRange}, {Json-NotUtf8}.
    function toJson(JobSpec memory spec) internal pure returns (bytes memory) {
        string memory text = string.concat('{"version":1,"engine":{"type":"wasm","module":', Json.quote(spec.module));
        if (bytes(spec.entry).length != 0) text = string.concat(text, ',"entry":', Json.quote(spec.entry));
        text = string.concat(text, "}", _args(spec.args), _env(spec.env), _inputs(spec.inputs));
        if (bytes(spec.outputs).length != 0) text = string.concat(text, ',"outputs":', Json.quote(spec.outputs));
        return bytes(string.concat(text, ',"limits":{', _limits(spec.limits), "}}"));
    }

    function _args(string[] memory args) private pure returns (string memory text) {
        if (args.length == 0) return "";
        text = ',"args":[';
        for (uint256 i = 0; i < args.length; ++i) {
            text = string.concat(text, i == 0 ? "" : ",", Json.quote(args[i]));
        }
        return string.concat(text, "]");
    }

    function _env(Variable[] memory env) private pure returns (string memory text) {
        if (env.length == 0) return "";
        text = ',"env":{';
        for (uint256 i = 0; i < env.length; ++i) {
            text = string.concat(text, i == 0 ? "" : ",", Json.quote(env[i].name), ":", Json.quote(env[i].value));
        }
        return string.concat(text, "}");
    }

    function _inputs(Input[] memory inputs) private pure returns (string memory text) {
        if (inputs.length == 0) return "";
        text = ',"inputs":[';
        for (uint256 i = 0; i < inputs.length; ++i) {
            text = string.concat(text, i == 0 ? "" : ",", '{"cid":', Json.quote(inputs[i].cid));
            if (bytes(inputs[i].path).length != 0) text = string.concat(text, ',"path":', Json.quote(inputs[i].path));
            text = string.concat(text, "}");
        }
        return string.concat(text, "]");
    }

    function _limits(Limits memory limits) private pure returns (string memory text) {
        text = string.concat(_limit("fuel", limits.fuel, 1, type(uint64).max), ",");
        text = string.concat(text, _limit("memory", limits.memoryBytes, 65_536, 4_294_967_296), ",");
        text = string.concat(text, _limit("output", limits.outputBytes, 1, type(uint64).max), ",");
        text = string.concat(text, _limit("entries", limits.entries, 1, type(uint64).max), ",");
        return string.concat(text, _limit("wall", limits.wall, 1, 90 days));
    }

    function _limit(string memory name, uint256 value, uint256 least, uint256 most)
        private
        pure
        returns (string memory)
    {
        if (value < least || value > most) revert LimitOutOfRange(name, value, least, most);
        return string.concat('"', name, '":', Json.number(value));
    }
}

using JobSpecs for JobSpec global;
