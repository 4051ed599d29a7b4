// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Granter} from "../../../src/abstracts/Granter.sol";
import {VerifregGranter} from "../../../src/granters/VerifregGranter.sol";
import {Grant} from "../../../src/interfaces/IGranter.sol";
import {BuiltinActors} from "../../../src/libraries/BuiltinActors.sol";
import {ActorsTest} from "../../base/ActorsTest.sol";

contract VerifregGranterTest is ActorsTest {
    uint256 private constant MIB = 1 << 20;
    uint256 private constant ALLOWANCE = 1 << 50;

    VerifregGranter private granter;
    bytes private client = hex"00e807"; // f01000

    function setUp() external {
        _deployActors();
        granter = VerifregGranter(deployCode("VerifregGranter.sol:VerifregGranter", abi.encode(blessing)));
        registry.setVerifier(address(granter), ALLOWANCE);
    }

    function test_RevertWhen_ItIsDeployedWithoutABlessing() external {
        vm.expectRevert(Granter.NoBlessing.selector);
        new VerifregGranter(address(0));
    }

    function test_RevertWhen_TheSenderIsNotTheBlessingContract() external {
        _refusesStrangers(granter, client, MIB);
    }

    function test_RevertWhen_TheRecipientIsNoAddress() external {
        _refusesRecipients(granter, _malformed(), MIB);
    }

    function test_WhenTheAmountIsLessThanAMebibyte() external {
        _refuses(
            granter, client, MIB - 1, abi.encodeWithSelector(VerifregGranter.AmountTooSmall.selector, MIB - 1, MIB)
        );
        _refuses(granter, client, 0, abi.encodeWithSelector(VerifregGranter.AmountTooSmall.selector, 0, MIB));
        _make(granter, _grant(client, MIB));
        assertEq(registry.granted(client), MIB);
    }

    function test_WhenTheRecipientIsOfAnyForm() external {
        bytes[] memory clients = _filecoinOnly();
        for (uint256 i = 0; i < clients.length; ++i) {
            Grant memory g = _grant(clients[i], MIB + i);
            granter.checkGrant(provider, g.recipient, g.amount);
            _expectGranted(granter, g);
            _make(granter, g);
            assertEq(registry.granted(clients[i]), MIB + i);
        }
        address account = makeAddr("account");
        _make(granter, _grant(1, _evm(account), MIB));
        _make(granter, _grant(2, _f410(account), MIB));
        assertEq(registry.granted(_f410(account)), 2 * MIB);
    }

    function test_WhenTheRegistryRefusesTheAmount() external {
        bytes memory why = abi.encodeWithSelector(VerifregGranter.AmountRefused.selector, ALLOWANCE + 1);
        _refusesToMake(granter, client, ALLOWANCE + 1, why);
        _make(granter, _grant(client, ALLOWANCE));
        _refusesToMake(granter, client, MIB, abi.encodeWithSelector(VerifregGranter.AmountRefused.selector, MIB));
        registry.setVerifier(address(granter), MIB);
        _make(granter, _grant(2, client, MIB));
        // A verifier cannot be a client.
        why = abi.encodeWithSelector(VerifregGranter.AmountRefused.selector, MIB);
        _refusesToMake(granter, _f410(address(granter)), MIB, why);
    }

    function test_WhenItIsNoVerifier() external {
        VerifregGranter other = new VerifregGranter(blessing);
        _refusesToMake(other, client, MIB, abi.encodeWithSelector(VerifregGranter.NotAVerifier.selector));
        registry.setVerifier(address(other), MIB);
        _make(other, _grant(client, MIB));
    }

    function test_WhenFILHasEnded() external {
        registry.setAnswer(18);
        _refusesToMake(granter, client, MIB, abi.encodeWithSelector(VerifregGranter.FilPlusEnded.selector));
    }

    function test_WhenTheRegistryFailsOtherwise() external {
        int256[4] memory codes = [int256(1), 20, type(int256).max, -6];
        for (uint256 i = 0; i < codes.length; ++i) {
            registry.setAnswer(codes[i]);
            bytes memory why = abi.encodeWithSelector(VerifregGranter.RegistryFailed.selector, codes[i]);
            _refusesToMake(granter, client, MIB, why);
        }
        vm.etch(address(registry), "");
        _refusesToMake(granter, client, MIB, abi.encodeWithSelector(VerifregGranter.RegistryFailed.selector, -6));
    }

    function test_WhenThereAreNoBuiltInActors() external {
        bytes memory why = abi.encodeWithSelector(BuiltinActors.NoBuiltinActors.selector);
        vm.etch(PRECOMPILE, "");
        _refusesToMake(granter, client, MIB, why);
        vm.etch(PRECOMPILE, hex"60606000f3"); // three words of zeros: not what the precompile returns
        _refusesToMake(granter, client, MIB, why);
        vm.etch(PRECOMPILE, hex"fe");
        _refusesToMake(granter, client, MIB, why);
    }

    function test_WhenTheParametersAreComparedWithThoseOfOthers() external {
        string memory json = vm.readFile("test/vectors/add-verified-client.json");
        bytes[] memory recipients = vm.parseJsonBytesArray(json, ".recipients");
        bytes[] memory params = vm.parseJsonBytesArray(json, ".params");
        uint256[] memory amounts = vm.parseJsonUintArray(json, ".amounts");
        assertGt(params.length, 100);
        registry.setAnswer(99); // whatever it is asked: the next grant is made in the same state
        for (uint256 i = 0; i < params.length; ++i) {
            vm.expectCall(address(registry), abi.encodeCall(registry.handle, (3_916_220_144, params[i])));
            bytes memory why = abi.encodeWithSelector(VerifregGranter.RegistryFailed.selector, int256(99));
            _refusesToMake(granter, recipients[i], amounts[i], why);
        }
    }

    /// @dev What no grant has, as the granters refuse it.
    function test_WhenANumberIsZero() external pure {
        assertEq(BuiltinActors.bigInt(0), hex"40");
        assertEq(BuiltinActors.toNumber(hex"40"), 0);
    }

    /// @dev Whatever is granted is read back by a decoder that shares nothing with the encoder.
    function testFuzz_TheRegistryReadsWhatIsGranted(uint64 id, uint256 amount) external {
        bytes memory address_ = hex"00";
        uint256 rest = id >> 1;
        while (rest > 0x7f) {
            address_ = bytes.concat(address_, bytes1(uint8(rest & 0x7f | 0x80)));
            rest >>= 7;
        }
        address_ = bytes.concat(address_, bytes1(uint8(rest)));
        amount = bound(amount, MIB, type(uint256).max);
        registry.setVerifier(address(granter), amount);
        _make(granter, _grant(address_, amount));
        assertEq(registry.granted(address_), amount);
        assertEq(registry.allowanceOf(address(granter)), 0);
    }
}
