// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {RequestOnlyGranter} from "../../../src/granters/RequestOnlyGranter.sol";
import {Grant} from "../../../src/interfaces/IGranter.sol";
import {GranterTest} from "../../base/GranterTest.sol";

contract RequestOnlyGranterTest is GranterTest {
    RequestOnlyGranter private granter;

    function setUp() external {
        granter = RequestOnlyGranter(deployCode("RequestOnlyGranter.sol:RequestOnlyGranter", abi.encode(blessing)));
    }

    function test_RevertWhen_TheSenderIsNotTheBlessingContract() external {
        _refusesStrangers(granter, hex"0001", 1);
    }

    function test_WhenTheRequestIsMalformed() external {
        _refusesRecipients(granter, _malformed(), 1);
        _refuses(granter, hex"0001", 0, abi.encodeWithSelector(RequestOnlyGranter.NoAmount.selector));
    }

    function test_WhenTheRequestIsGood() external {
        bytes[] memory clients = _filecoinOnly();
        for (uint256 i = 0; i < clients.length; ++i) {
            Grant memory g = _grant(i, clients[i], 1 + i);
            vm.expectEmit(address(granter));
            emit RequestOnlyGranter.GrantRequested(g.jobId, provider, g);
            _make(granter, g);
        }
    }
}
