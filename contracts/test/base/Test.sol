// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {TestBase} from "forge-std/Base.sol";
import {StdAssertions} from "forge-std/StdAssertions.sol";
import {StdCheats} from "forge-std/StdCheats.sol";
import {StdInvariant} from "forge-std/StdInvariant.sol";
import {StdUtils} from "forge-std/StdUtils.sol";

/// @title Test: forge-std's test contract without its consoles
/// @dev The compiler reports at most 256 warnings, and forge-std's safeconsole alone has as many: with it, warnings in
/// our own tests would go unseen.
abstract contract Test is TestBase, StdAssertions, StdCheats, StdInvariant, StdUtils {}
