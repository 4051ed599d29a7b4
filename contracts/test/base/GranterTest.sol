// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Granter} from "../../src/abstracts/Granter.sol";
import {Grant, IGranter} from "../../src/interfaces/IGranter.sol";
import {FilecoinAddress} from "../../src/libraries/FilecoinAddress.sol";
import {Test} from "./Test.sol";

/// @title GranterTest: grants, and granters that refuse them
abstract contract GranterTest is Test {
    address internal blessing = makeAddr("blessing");
    address internal provider = makeAddr("provider");
    /// @dev An actor's id, as an EVM address.
    address internal constant MASKED = address((uint160(0xff) << 152) | 1234);

    function _grant(bytes memory recipient, uint256 amount) internal view returns (Grant memory) {
        return _grant(1, recipient, amount);
    }

    function _grant(uint256 job, bytes memory recipient, uint256 amount) internal view returns (Grant memory) {
        return Grant({
            jobId: keccak256(abi.encode(job)),
            round: 3,
            provider: provider,
            recipient: recipient,
            amount: amount,
            piece: keccak256("piece"),
            pieceSize: 1 << 35,
            reasons: keccak256("reasons")
        });
    }

    function _make(IGranter granter, Grant memory g) internal {
        vm.prank(blessing);
        granter.grant(g);
    }

    /// @dev Neither can it be made, nor does {IGranter-checkGrant} say that it could.
    function _refuses(IGranter granter, bytes memory recipient, uint256 amount, bytes memory why) internal {
        vm.expectRevert(why);
        granter.checkGrant(provider, recipient, amount);
        _refusesToMake(granter, recipient, amount, why);
    }

    function _refusesToMake(IGranter granter, bytes memory recipient, uint256 amount, bytes memory why) internal {
        Grant memory g = _grant(recipient, amount);
        vm.expectRevert(why);
        vm.prank(blessing);
        granter.grant(g);
    }

    function _refusesStrangers(IGranter granter, bytes memory recipient, uint256 amount) internal {
        Grant memory g = _grant(recipient, amount);
        vm.expectRevert(abi.encodeWithSelector(Granter.NotTheBlessing.selector, address(this)));
        granter.grant(g);
        vm.expectRevert(abi.encodeWithSelector(Granter.NotTheBlessing.selector, provider));
        vm.prank(provider);
        granter.grant(g);
    }

    function _refusesRecipients(IGranter granter, bytes[] memory recipients, uint256 amount) internal {
        for (uint256 i = 0; i < recipients.length; ++i) {
            bytes memory why = abi.encodeWithSelector(FilecoinAddress.BadRecipient.selector, recipients[i]);
            _refuses(granter, recipients[i], amount, why);
        }
    }

    /// @dev The next call must emit {Granter-Granted}.
    function _expectGranted(IGranter granter, Grant memory g) internal {
        vm.expectEmit(address(granter));
        emit Granter.Granted(g.jobId, g.round, g.provider, g.recipient, g.amount, g.reasons);
    }

    function _f410(address account) internal pure returns (bytes memory) {
        return abi.encodePacked(bytes2(0x040a), account);
    }

    function _evm(address account) internal pure returns (bytes memory) {
        return abi.encodePacked(account);
    }

    /// @dev Addresses that are none.
    function _malformed() internal pure returns (bytes[] memory list) {
        list = new bytes[](26);
        list[0] = "";
        list[1] = hex"00"; // f0 without an id
        list[2] = hex"0080"; // an id without its end
        list[3] = hex"008000"; // 0 in two bytes
        list[4] = hex"00e8878000"; // a last byte of zero
        list[5] = hex"000101"; // two ids
        list[6] = hex"0080808080808080808001"; // 2^63
        list[7] = hex"00ffffffffffffffffffff01"; // more than 64 bits
        list[8] = bytes.concat(hex"01", new bytes(18));
        list[9] = bytes.concat(hex"01", new bytes(21));
        list[10] = bytes.concat(hex"02", new bytes(18));
        list[11] = bytes.concat(hex"02", new bytes(21));
        list[12] = bytes.concat(hex"03", new bytes(47));
        list[13] = bytes.concat(hex"03", new bytes(49));
        list[14] = hex"04";
        list[15] = hex"040a";
        list[16] = bytes.concat(hex"040a", bytes19(uint152(7)));
        list[17] = bytes.concat(hex"040a", bytes21(uint168(7)));
        list[18] = bytes.concat(hex"040b", bytes20(uint160(7))); // another namespace
        list[19] = bytes.concat(hex"048a00", bytes20(uint160(7))); // 10 in two bytes
        list[20] = bytes.concat(hex"05", new bytes(20));
        list[21] = abi.encodePacked(address(0));
        list[22] = abi.encodePacked(MASKED);
        list[23] = _f410(address(0));
        list[24] = _f410(MASKED);
        list[25] = abi.encode(address(7)); // an address as the ABI pads it
    }

    /// @dev Good ones that are no EVM address.
    function _filecoinOnly() internal pure returns (bytes[] memory list) {
        list = new bytes[](7);
        list[0] = hex"0000"; // f00
        list[1] = hex"007f";
        list[2] = hex"00e807"; // f01000
        list[3] = hex"00ffffffffffffffff7f"; // f09223372036854775807
        list[4] = bytes.concat(hex"01", bytes20(uint160(7)));
        list[5] = bytes.concat(hex"02", bytes20(uint160(7)));
        list[6] = bytes.concat(hex"03", bytes32(uint256(7)), bytes16(uint128(7)));
    }
}
