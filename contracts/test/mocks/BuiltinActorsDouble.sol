// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title CallActorByIdDouble: what stands for the precompile at 0xfe00..05
/// @dev Its code alone counts (vm.etch; anvil_setCode): it has no constructor, no immutables and, as it is called by DELEGATECALL, no
/// storage of its own. Actors are contracts at their masked ids, which get {IActorDouble-handle} from the caller itself. An actor
/// that is not there is a system error, as on Filecoin. It reverts, as the precompile fails, when it is called otherwise or with
/// input that no caller of ours may make.
contract CallActorByIdDouble {
    address private constant _SELF = 0xfe00000000000000000000000000000000000005;
    uint64 private constant _CBOR = 0x51;
    int256 private constant _NOT_FOUND = -6;

    error CallForbidden();
    error InvalidInput();

    fallback() external {
        if (address(this) == _SELF) revert CallForbidden();
        (uint64 method, uint256 value, uint64 flags, uint64 codec, bytes memory params, uint64 actor) =
            abi.decode(msg.data, (uint64, uint256, uint64, uint64, bytes, uint64));
        address to = address((uint160(0xff) << 152) | actor);
        bytes memory answer;
        if (method == 0) {
            // A payment: FilecoinPayV1 burns its fees by one (with an offset of 0 for no parameters).
            if (codec != 0 || params.length != 0 || flags != 0) revert InvalidInput();
            (bool sent,) = payable(to).call{value: value}("");
            answer = abi.encode(sent ? int256(0) : int256(-5), uint64(0), bytes(""));
        } else {
            // Nothing but this encoding of it: no other offset, no padding that is not zero, nothing behind it.
            bytes memory same = abi.encode(method, value, flags, codec, params, actor);
            if (keccak256(same) != keccak256(msg.data)) revert InvalidInput();
            if (method <= 1023 || codec != _CBOR || flags != 0 || value != 0) revert InvalidInput();
            answer = abi.encode(_NOT_FOUND, uint64(0), bytes(""));
            if (to.code.length != 0) {
                (int256 exitCode, bytes memory returned) = IActorDouble(to).handle(method, params);
                answer = abi.encode(exitCode, returned.length == 0 ? uint64(0) : _CBOR, returned);
            }
        }
        assembly ("memory-safe") {
            return(add(answer, 0x20), mload(answer))
        }
    }
}

/// @title IActorDouble: a contract at the masked id of a built-in actor
interface IActorDouble {
    function handle(uint64 method, bytes calldata params) external returns (int256 exitCode, bytes memory returned);
}

/// @title StrictCbor: reads what Filecoin's actors accept, and nothing else
/// @dev RFC 8949 4.2.1: a length is told in the fewest bytes. Written for the doubles, of the specifications, not of the encoder.
library StrictCbor {
    error Malformed(string why);

    function array(bytes calldata data, uint256 at, uint256 items) internal pure returns (uint256 next) {
        if (at >= data.length || uint8(data[at]) != 0x80 + items) revert Malformed("not an array of as many items");
        return at + 1;
    }

    function bytesAt(bytes calldata data, uint256 at) internal pure returns (bytes calldata found, uint256 next) {
        if (at >= data.length) revert Malformed("cut short");
        uint8 head = uint8(data[at]);
        uint256 length;
        if (head >= 0x40 && head <= 0x57) {
            (length, next) = (head - 0x40, at + 1);
        } else if (head == 0x58) {
            if (at + 1 >= data.length) revert Malformed("cut short");
            (length, next) = (uint8(data[at + 1]), at + 2);
            if (length < 24) revert Malformed("a length that is not minimal");
        } else {
            revert Malformed("no byte string of less than 256 bytes");
        }
        if (next + length > data.length) revert Malformed("cut short");
        found = data[next:next + length];
        next += length;
    }

    function end(bytes calldata data, uint256 at) internal pure {
        if (at != data.length) revert Malformed("bytes behind the end");
    }

    function number(bytes calldata digits) internal pure returns (uint256 value) {
        if (digits.length == 0) return 0;
        if (digits[0] != 0x00) revert Malformed("a sign that is not +");
        if (digits.length == 1 || digits[1] == 0x00) revert Malformed("a number that is not minimal");
        if (digits.length > 33) revert Malformed("too large for this double");
        for (uint256 i = 1; i < digits.length; ++i) {
            value = value << 8 | uint8(digits[i]);
        }
    }

    function filecoinAddress(bytes calldata a) internal pure {
        if (a.length == 0) revert Malformed("no address");
        uint8 protocol = uint8(a[0]);
        bool good = false;
        if (protocol == 0) {
            uint256 value = 0;
            for (uint256 i = 1; i < a.length; ++i) {
                value |= uint256(uint8(a[i]) & 0x7f) << 7 * (i - 1);
                bool last = uint8(a[i]) < 0x80;
                if (last != (i + 1 == a.length)) revert Malformed("an id that is not one number");
                if (last && a[i] == 0x00 && i != 1) revert Malformed("an id that is not minimal");
            }
            good = a.length > 1 && value < 1 << 63;
        } else if (protocol <= 2) {
            good = a.length == 21;
        } else if (protocol == 3) {
            good = a.length == 49;
        } else if (protocol == 4) {
            good = a.length == 22 && a[1] == 0x0a;
        }
        if (!good) revert Malformed("no address of a known form");
    }
}

/// @title VerifregDouble: the verified registry (f06) as far as AddVerifiedClient goes, and DataCap's balances
/// @dev The order of checks and the exit codes of builtin-actors (actors/verifreg/src/lib.rs, add_verified_client, at b0a3bdd).
contract VerifregDouble is IActorDouble {
    mapping(address verifier => bool) public isVerifier;
    mapping(address verifier => uint256) public allowanceOf;
    mapping(bytes32 client => bool) private _isVerifierAddress;
    mapping(bytes32 client => uint256) private _granted;
    int256 private _answers;
    bytes public lastParams;

    function setVerifier(address verifier, uint256 allowance) external {
        isVerifier[verifier] = true;
        allowanceOf[verifier] = allowance;
        _isVerifierAddress[keccak256(abi.encodePacked(bytes2(0x040a), verifier))] = true;
    }

    /// @dev From now on every call ends with this exit code: 18 once FIL+ has ended.
    function setAnswer(int256 exitCode) external {
        _answers = exitCode;
    }

    /// @dev DataCap of a client, in bytes.
    function granted(bytes calldata client) external view returns (uint256) {
        return _granted[keccak256(client)];
    }

    function handle(uint64 method, bytes calldata params) external returns (int256 exitCode, bytes memory returned) {
        lastParams = params;
        if (_answers != 0) return (_answers, "");
        if (method != 3_916_220_144) return (22, "");
        uint256 at = StrictCbor.array(params, 0, 2);
        bytes calldata client;
        bytes calldata digits;
        (client, at) = StrictCbor.bytesAt(params, at);
        (digits, at) = StrictCbor.bytesAt(params, at);
        StrictCbor.end(params, at);
        StrictCbor.filecoinAddress(client);
        uint256 amount = StrictCbor.number(digits);

        if (amount < 1 << 20) return (16, "");
        if (!isVerifier[msg.sender]) return (17, "");
        if (_isVerifierAddress[keccak256(client)]) return (16, "");
        if (allowanceOf[msg.sender] < amount) return (16, "");
        allowanceOf[msg.sender] -= amount;
        _granted[keccak256(client)] += amount;
        return (0, "");
    }
}

/// @title DataCapDouble: the DataCap token (f07) as far as Balance goes
contract DataCapDouble is IActorDouble {
    address private constant _REGISTRY = 0xFF00000000000000000000000000000000000006;

    /// @dev Returns a big integer as the actor does, however long.
    function handle(uint64 method, bytes calldata params)
        external
        view
        returns (int256 exitCode, bytes memory returned)
    {
        if (method != 3_261_979_605) return (22, "");
        (bytes calldata client, uint256 at) = StrictCbor.bytesAt(params, 0);
        StrictCbor.end(params, at);
        StrictCbor.filecoinAddress(client);
        uint256 balance = VerifregDouble(_REGISTRY).granted(client) * 1e18;
        if (balance == 0) return (0, hex"40");
        bytes memory digits;
        for (uint256 rest = balance; rest != 0; rest >>= 8) {
            digits = bytes.concat(bytes1(uint8(rest)), digits);
        }
        uint256 length = digits.length + 1;
        bytes memory head =
            length < 24 ? abi.encodePacked(uint8(0x40 + length)) : abi.encodePacked(bytes1(0x58), uint8(length));
        return (0, bytes.concat(head, hex"00", digits));
    }
}

/// @title MetaAllocatorDouble: allowances, and AddVerifiedClient through the precompile, as MetaAllocator's Allocator.sol
/// @dev `looksAtExitCodes` false is what an allocator does that was built with a library that returns them instead of reverting.
contract MetaAllocatorDouble {
    mapping(address allocator => uint256) public allowance;
    bool public looksAtExitCodes = true;

    error InsufficientAllowance();
    error AmountEqualZero();
    error ActorFailed(int256 exitCode);

    function setAllowance(address allocator, uint256 amount) external {
        allowance[allocator] = amount;
    }

    function setLooksAtExitCodes(bool looks) external {
        looksAtExitCodes = looks;
    }

    function addVerifiedClient(bytes calldata clientAddress, uint256 amount) external {
        if (amount == 0) revert AmountEqualZero();
        if (allowance[msg.sender] < amount) revert InsufficientAllowance();
        allowance[msg.sender] -= amount;
        bytes memory digits = abi.encodePacked(amount);
        uint256 zeros = 0;
        while (digits[zeros] == 0) ++zeros;
        bytes memory short = new bytes(32 - zeros);
        for (uint256 i = 0; i < short.length; ++i) {
            short[i] = digits[zeros + i];
        }
        bytes memory head = clientAddress.length < 24
            ? abi.encodePacked(uint8(0x40 + clientAddress.length))
            : abi.encodePacked(bytes1(0x58), uint8(clientAddress.length));
        bytes memory params =
            bytes.concat(hex"82", head, clientAddress, bytes1(uint8(0x41 + short.length)), hex"00", short);
        (bool success, bytes memory answer) = 0xfe00000000000000000000000000000000000005
        .delegatecall(abi.encode(uint64(3_916_220_144), uint256(0), uint64(0), uint64(0x51), params, uint64(6)));
        require(success, "precompile");
        (int256 exitCode,,) = abi.decode(answer, (int256, uint64, bytes));
        if (exitCode != 0 && looksAtExitCodes) revert ActorFailed(exitCode);
    }
}
