// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title BuiltinActors: calls of Filecoin's built-in actors, and the CBOR that they take and give
/// @dev By FEVM's precompile "call actor by id", which must be a DELEGATECALL (builtin-actors, actors/evm/src/interpreter/
/// precompiles/fvm.rs). An actor that refuses does not revert: its exit code is in the returned data.
library BuiltinActors {
    address internal constant CALL_ACTOR_BY_ID = 0xfe00000000000000000000000000000000000005;
    uint64 private constant _CBOR = 0x51;

    /// @notice There is no such precompile here, or it failed itself: this is not a Filecoin chain, or a static call.
    error NoBuiltinActors();
    /// @notice The actor returned what is not what its method returns.
    error BadReturn(bytes returned);

    /// @return exitCode 0: done. Positive: the actor's. Negative: the system's
    /// @return returned what the actor returned
    function call(uint64 actor, uint64 method, bytes memory params)
        internal
        returns (int256 exitCode, bytes memory returned)
    {
        // No value, no flags. solc's check for code does not stand before a low-level call: precompiles have none.
        (bool success, bytes memory answer) =
            CALL_ACTOR_BY_ID.delegatecall(abi.encode(method, uint256(0), uint64(0), _CBOR, params, actor));
        // Exit code, codec, offset and length of what was returned; from an account without code, nothing.
        if (!success || answer.length < 128) revert NoBuiltinActors();
        (exitCode,, returned) = abi.decode(answer, (int256, uint64, bytes));
    }

    /// @dev A CBOR byte string of less than 256 bytes (RFC 8949, major type 2).
    function byteString(bytes memory data) internal pure returns (bytes memory) {
        if (data.length < 24) return abi.encodePacked(uint8(0x40 + data.length), data);
        return abi.encodePacked(bytes1(0x58), uint8(data.length), data);
    }

    /// @dev A number as Filecoin's actors take them: a byte string of a sign, 00, and the big-endian bytes without leading zeros; of 0
    /// the byte string is empty.
    function bigInt(uint256 number) internal pure returns (bytes memory) {
        if (number == 0) return hex"40";
        uint256 length = 0;
        for (uint256 rest = number; rest != 0; rest >>= 8) {
            ++length;
        }
        bytes memory digits = abi.encodePacked(number << 8 * (32 - length));
        assembly ("memory-safe") {
            mstore(digits, length)
        }
        return byteString(abi.encodePacked(bytes1(0x00), digits));
    }

    /// @dev The reverse, of a number that is not negative and fits: {BadReturn} otherwise.
    function toNumber(bytes memory encoded) internal pure returns (uint256 number) {
        uint256 length = encoded.length;
        if (length == 0) revert BadReturn(encoded);
        if (encoded[0] == 0x40 && length == 1) return 0;
        uint256 start = encoded[0] == 0x58 ? 2 : 1;
        // The head, the sign, and 1 to 32 bytes.
        if (length < start + 2 || length > start + 33) revert BadReturn(encoded);
        uint256 told = start == 2 ? uint8(encoded[1]) : uint256(uint8(encoded[0])) ^ 0x40;
        if (told != length - start || encoded[start] != 0x00) revert BadReturn(encoded);
        for (uint256 i = start + 1; i < length; ++i) {
            number = number << 8 | uint8(encoded[i]);
        }
    }
}
