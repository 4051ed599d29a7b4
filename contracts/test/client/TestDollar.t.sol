// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {TestDollar} from "../../src/examples/TestDollar.sol";
import {Test} from "../base/Test.sol";

/// @dev What the token of the development networks refuses.
contract TestDollarTest is Test {
    TestDollar private dollar;
    address private owner;
    uint256 private key;

    function setUp() public {
        dollar = new TestDollar();
        (owner, key) = makeAddrAndKey("owner");
        dollar.mint(owner, 10);
    }

    function _authorize(uint256 value, uint256 validAfter, uint256 validBefore)
        private
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 typehash = dollar.TRANSFER_WITH_AUTHORIZATION_TYPEHASH();
        bytes32 structHash =
            keccak256(abi.encode(typehash, owner, address(this), value, validAfter, validBefore, bytes32("once")));
        return vm.sign(key, keccak256(abi.encodePacked(hex"1901", dollar.DOMAIN_SEPARATOR(), structHash)));
    }

    function _transfer(uint256 value, uint256 validAfter, uint256 validBefore) private {
        (uint8 v, bytes32 r, bytes32 s) = _authorize(value, validAfter, validBefore);
        dollar.transferWithAuthorization(owner, address(this), value, validAfter, validBefore, "once", v, r, s);
    }

    function test_AnybodyMayBringAnAuthorization_Once() external {
        _transfer(4, 0, block.timestamp + 1);
        assertEq(dollar.balanceOf(address(this)), 4);
        (uint8 v, bytes32 r, bytes32 s) = _authorize(4, 0, block.timestamp + 1);
        vm.expectRevert(abi.encodeWithSelector(TestDollar.AuthorizationIsUsed.selector, bytes32("once")));
        dollar.transferWithAuthorization(owner, address(this), 4, 0, block.timestamp + 1, "once", v, r, s);
    }

    function test_AuthorizationsHaveTheirTime() external {
        (uint8 v, bytes32 r, bytes32 s) = _authorize(4, 0, block.timestamp);
        vm.expectRevert(TestDollar.NotValidAtThisTime.selector);
        dollar.transferWithAuthorization(owner, address(this), 4, 0, block.timestamp, "once", v, r, s);
    }

    function test_OnlyTheRecipientReceives() external {
        vm.expectRevert(abi.encodeWithSelector(TestDollar.NotTheRecipient.selector, address(this)));
        dollar.receiveWithAuthorization(owner, owner, 4, 0, block.timestamp + 1, "once", 27, 0, 0);
    }

    function test_SignaturesMustBeTheOwners() external {
        vm.expectRevert(TestDollar.InvalidSignature.selector);
        dollar.permit(owner, address(this), 4, block.timestamp, 27, 0, 0);
        vm.expectRevert(TestDollar.NotValidAtThisTime.selector);
        dollar.permit(owner, address(this), 4, block.timestamp - 1, 27, 0, 0);
    }

    function test_MoneyMustBeThere_AndGoToSomebody() external {
        vm.expectRevert(abi.encodeWithSelector(TestDollar.InsufficientBalance.selector, address(this), 0, 1));
        assertFalse(dollar.transfer(owner, 1));
        vm.expectRevert(TestDollar.InvalidRecipient.selector);
        assertFalse(dollar.transfer(address(0), 0));
        vm.expectRevert(abi.encodeWithSelector(TestDollar.InsufficientAllowance.selector, address(this), 0, 1));
        assertFalse(dollar.transferFrom(owner, address(this), 1));
    }
}
