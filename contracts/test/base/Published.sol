// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Test} from "./Test.sol";

/// @title Published: deploys what is in abi/
/// @dev For gas: deployCode takes what the tests themselves were compiled with, where they name a contract's type.
abstract contract Published is Test {
    function _publish(string memory name, bytes memory arguments) internal returns (address deployed) {
        bytes memory code = vm.parseJsonBytes(vm.readFile(string.concat("abi/", name, ".json")), ".bytecode");
        code = bytes.concat(code, arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        assertTrue(deployed != address(0), name);
    }
}
