// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {CallActorByIdDouble, DataCapDouble, VerifregDouble} from "../mocks/BuiltinActorsDouble.sol";
import {GranterTest} from "./GranterTest.sol";

/// @title ActorsTest: doubles of the built-in actors, where FEVM has them
abstract contract ActorsTest is GranterTest {
    address internal constant PRECOMPILE = 0xfe00000000000000000000000000000000000005;
    VerifregDouble internal constant registry = VerifregDouble(0xFF00000000000000000000000000000000000006);

    function _deployActors() internal {
        vm.etch(PRECOMPILE, type(CallActorByIdDouble).runtimeCode);
        vm.etch(address(registry), type(VerifregDouble).runtimeCode);
        vm.etch(0xfF00000000000000000000000000000000000007, type(DataCapDouble).runtimeCode);
    }
}
