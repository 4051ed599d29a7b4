// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Eip712} from "../base/Eip712.sol";
import {TestDollar} from "../../src/examples/TestDollar.sol";
import {Test} from "../base/Test.sol";
import {ScriptedClient} from "../mocks/Clients.sol";
import {Wallet} from "../mocks/Wallets.sol";

/// @title Ledger: who has what, by the rules of the protocol and without a look at the contract
abstract contract Ledger is Test {
    /// @dev A deal as its parties know it.
    struct Known {
        ILotaMarket.Terms terms;
        bytes32 jobId;
        ILotaMarket.Status status;
        ILotaMarket.Reason reason;
        ILotaMarket.Receipt receipt; // provider and price from the lock on, the result from the submission on
        uint256 since;
    }

    uint32 internal constant MAX_CALLBACK_GAS = 2_000_000;
    uint256 internal constant ATTEMPTS = 11;

    ILotaMarket public immutable MARKET;
    /// @dev Zero: the chain's coin.
    TestDollar internal immutable TOKEN;
    uint256 internal immutable QUANTUM;
    uint256 internal immutable MAX_AMOUNT;
    ScriptedClient internal hostile;
    ScriptedClient internal hostileToo;
    Wallet internal wallet;
    Account[4] internal keys;
    address[] internal parties;

    Known[] internal deals;
    mapping(address party => uint256) internal expected;
    mapping(address client => mapping(uint256 salt => uint256)) internal used;
    mapping(address client => mapping(uint256 lane => uint256)) internal revokedUpTo;
    mapping(address client => mapping(uint256 lane => uint256)) private _lowest;
    /// @dev What a hostile client opens from within its next callback.
    mapping(address client => ILotaMarket.Terms[]) internal planned;
    uint256 internal expectedBurned;
    uint256 internal forced;
    uint256 internal paidIn;
    uint256 internal paidOut;

    constructor(ILotaMarket market) {
        MARKET = market;
        TOKEN = TestDollar(market.settings().asset);
        QUANTUM = market.settings().quantum;
        MAX_AMOUNT = ((1 << 48) - 1) * QUANTUM;
        hostile = new ScriptedClient(market);
        hostileToo = new ScriptedClient(market);
        wallet = new Wallet();
        for (uint256 i = 0; i < 4; ++i) {
            keys[i] = makeAccount(string.concat("key ", vm.toString(i)));
            parties.push(keys[i].addr);
        }
        parties.push(address(hostile));
        parties.push(address(hostileToo));
        parties.push(address(wallet));
        for (uint256 i = 0; i < 5; ++i) {
            parties.push(makeAddr(string.concat("party ", vm.toString(i))));
        }
    }

    /// @dev A hostile client will try all it can from within its callbacks: three jobs and a deposit are let in.
    function _plan(ScriptedClient script, ILotaMarket.Terms[] memory terms) internal {
        delete planned[address(script)];
        bytes[] memory attempts = new bytes[](ATTEMPTS);
        bytes[] memory nested = new bytes[](1);
        ILotaMarket.Receipt memory receipt;
        nested[0] = abi.encodeCall(ILotaMarket.withdraw, (address(script), 1));
        for (uint256 i = 0; i < 3; ++i) {
            attempts[i] = abi.encodeCall(ILotaMarket.open, (terms[i], ""));
            planned[address(script)].push(terms[i]);
        }
        attempts[3] = _depositOf(address(script), 0);
        attempts[4] = nested[0];
        attempts[5] = abi.encodeCall(ILotaMarket.multicall, (nested));
        attempts[6] = abi.encodeCall(ILotaMarket.accept, (terms[0], receipt));
        attempts[7] = abi.encodeCall(ILotaMarket.retryCallback, (terms[0], receipt));
        attempts[8] = abi.encodeCall(ILotaMarket.settleBatch, (new ILotaMarket.BatchEntry[](0)));
        attempts[9] = abi.encodeCall(ILotaMarket.openSigned, (terms[0], "", ""));
        attempts[10] = abi.encodeCall(ILotaMarket.giveUp, (terms[0]));
        script.setAttempts(attempts);
    }

    /// @dev Takes the jobs into the ledger that hostile clients opened from within callbacks. Returns what `client` spent so.
    function _adopt(address client) internal returns (uint256 spent) {
        ILotaMarket.Terms[] storage list = planned[client];
        for (uint256 i = 0; i < list.length; ++i) {
            if (MARKET.dealOf(_jobId(list[i])).status != ILotaMarket.Status.Open) continue;
            if (used[client][list[i].salt] != 0) continue;
            spent += list[i].maxPrice;
            _opened(list[i]);
        }
    }

    // ------------------------------------------------------------------------------------------------------------
    // The asset
    // ------------------------------------------------------------------------------------------------------------

    function _isToken() internal view returns (bool) {
        return address(TOKEN) != address(0);
    }

    function _held() internal view returns (uint256) {
        return _isToken() ? TOKEN.balanceOf(address(MARKET)) : address(MARKET).balance;
    }

    function _depositOf(address account, uint256 amount) internal view returns (bytes memory) {
        if (_isToken()) return abi.encodeCall(ILotaMarket.depositToken, (account, amount));
        return abi.encodeCall(ILotaMarket.deposit, (account));
    }

    /// @dev Deposits new money of `sender`'s.
    function _deposit(address sender, address account, uint256 amount) internal {
        if (_isToken()) {
            TOKEN.mint(sender, amount);
            vm.prank(sender);
            TOKEN.approve(address(MARKET), amount);
        }
        (bool success,) = _call(sender, sender, _isToken() ? 0 : amount, _depositOf(account, amount));
        assertTrue(success, "deposit");
        expected[account] += amount;
        paidIn += amount;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Salts
    // ------------------------------------------------------------------------------------------------------------

    function _isSpent(address client, uint256 salt) internal view returns (bool) {
        return used[client][salt] != 0 || uint64(salt) < revokedUpTo[client][salt >> 64];
    }

    /// @dev The lowest salt of a lane that is not spent.
    function _next(address client, uint256 lane) internal returns (uint256) {
        uint256 salt = (lane << 64) | _lowest[client][lane];
        while (_isSpent(client, salt)) ++salt;
        _lowest[client][lane] = uint64(salt);
        return salt;
    }

    // ------------------------------------------------------------------------------------------------------------
    // What must always hold
    // ------------------------------------------------------------------------------------------------------------

    function moneyIsAccountedFor() external view {
        uint256 sum = MARKET.burned() + forced;
        for (uint256 i = 0; i < parties.length; ++i) {
            sum += MARKET.balanceOf(parties[i]);
        }
        for (uint256 i = 0; i < deals.length; ++i) {
            Known storage known = deals[i];
            if (known.status == ILotaMarket.Status.Open) sum += known.terms.maxPrice;
            else if (!_isFinal(known.status)) sum += known.receipt.price + known.terms.collateral;
        }
        assertEq(_held(), sum, "I1");
        assertEq(_held(), paidIn + forced - paidOut, "I1: in and out");
    }

    function balancesAreTheLedgers() external view {
        for (uint256 i = 0; i < parties.length; ++i) {
            assertEq(MARKET.balanceOf(parties[i]), expected[parties[i]], "I2");
        }
        assertEq(MARKET.burned(), expectedBurned, "I2: burned");
    }

    function dealsAreTheLedgers() external view {
        for (uint256 i = 0; i < deals.length; ++i) {
            Known storage known = deals[i];
            ILotaMarket.Deal memory found = MARKET.dealOf(known.jobId);
            if (_isFinal(known.status) && !known.terms.keepRecord && !found.callbackPending) {
                ILotaMarket.Deal memory none;
                assertEq(abi.encode(found), abi.encode(none), "what has ended was kept");
                continue;
            }
            assertTrue(found.status == known.status, "status");
            assertTrue(found.reason == known.reason, "reason");
            if (known.status == ILotaMarket.Status.Locked) {
                assertEq(found.provider, known.receipt.provider, "provider");
                assertEq(found.price, known.receipt.price, "price");
            }
            bool timed = known.status > ILotaMarket.Status.Open && !_isFinal(known.status);
            assertEq(found.since, timed ? known.since : 0, "since");
            bool called = _isFinal(known.status) && known.terms.callbackGas != 0 && known.terms.client.code.length != 0;
            if (!called) assertFalse(found.callbackPending, "no callback was due");
        }
    }

    function saltsAreSpentOnce() external view {
        for (uint256 i = 0; i < deals.length; ++i) {
            (address client, uint256 salt) = (deals[i].terms.client, deals[i].terms.salt);
            assertEq(used[client][salt], 1, "I4");
            assertTrue(MARKET.isSpent(client, salt), "I4: forgotten");
            uint256 next = MARKET.nextSalt(client, uint192(salt >> 64));
            assertFalse(_isSpent(client, next), "the next free salt was spent");
            if (uint64(next) != 0) assertTrue(_isSpent(client, next - 1), "the next free salt is not the lowest");
        }
    }

    /// @dev But for the first four attempts of each callback: three jobs, which may lack money or be open already, and a deposit.
    function nobodyGotIn() external view {
        for (uint256 which = 0; which < 2; ++which) {
            bytes4[] memory answers = (which == 0 ? hostile : hostileToo).answersSeen();
            for (uint256 i = 0; i < answers.length; ++i) {
                uint256 attempt = i % ATTEMPTS;
                if (attempt < 3) assertTrue(answers[i] != ILotaMarket.Reentered.selector, "open was kept out");
                else if (attempt == 3) assertEq(answers[i], bytes4(0), "the deposit was kept out");
                else assertEq(answers[i], ILotaMarket.Reentered.selector, "I5");
            }
        }
    }

    function everythingIsOver() external view {
        for (uint256 i = 0; i < deals.length; ++i) {
            ILotaMarket.Status status = MARKET.dealOf(deals[i].jobId).status;
            assertTrue(status == ILotaMarket.Status.None || _isFinal(status), "I3");
        }
        assertEq(_held(), MARKET.burned() + forced, "I3: everybody left with everything");
    }

    // ------------------------------------------------------------------------------------------------------------
    // Commands
    // ------------------------------------------------------------------------------------------------------------

    /// @dev Sends a command; nobody but `sender` and `signer` may have less afterwards (I2).
    function _call(address sender, address signer, uint256 value, bytes memory data)
        internal
        returns (bool success, bytes memory returned)
    {
        uint256[] memory before = new uint256[](parties.length);
        for (uint256 i = 0; i < parties.length; ++i) {
            before[i] = MARKET.balanceOf(parties[i]);
        }
        vm.deal(sender, value);
        vm.prank(sender);
        (success, returned) = address(MARKET).call{value: value}(data);
        for (uint256 i = 0; i < parties.length; ++i) {
            uint256 spent = _adopt(parties[i]);
            if (parties[i] == sender || parties[i] == signer) continue;
            assertGe(MARKET.balanceOf(parties[i]) + spent, before[i], "I2: taken without a transaction or a signature");
        }
    }

    function _call(address sender, bytes memory data) internal returns (bool success) {
        (success,) = _call(sender, sender, 0, data);
    }

    /// @dev Gives a party what it lacks for an amount.
    function _ensure(address party, uint256 amount) internal {
        if (expected[party] >= amount) return;
        _deposit(party, party, amount - expected[party]);
    }

    // ------------------------------------------------------------------------------------------------------------
    // What commands do to the ledger
    // ------------------------------------------------------------------------------------------------------------

    function _opened(ILotaMarket.Terms memory terms) internal returns (Known storage known) {
        assertEq(++used[terms.client][terms.salt], 1, "I4: a salt was used twice");
        assertGe(uint64(terms.salt), revokedUpTo[terms.client][terms.salt >> 64], "I4: a revoked salt was used");
        assertLe(block.timestamp, terms.lockBy, "I6: opened too late");
        unchecked {
            // What a callback opens comes here before what its deal's end gave the client: below zero for a moment.
            expected[terms.client] -= terms.maxPrice;
        }
        known = deals.push();
        known.terms = terms;
        known.jobId = _jobId(terms);
        known.status = ILotaMarket.Status.Open;
    }

    function _locked(Known storage known, address provider, uint256 price, address payer) internal {
        assertTrue(known.status == ILotaMarket.Status.Open, "I6: locked, but was not open");
        assertLe(block.timestamp, known.terms.lockBy, "I6: locked too late");
        expected[known.terms.client] += known.terms.maxPrice - price;
        expected[payer] -= known.terms.collateral;
        known.status = ILotaMarket.Status.Locked;
        (known.receipt.provider, known.receipt.price) = (provider, price);
        known.since = block.timestamp;
    }

    function _ended(Known storage known, ILotaMarket.Status to, ILotaMarket.Reason reason) internal {
        assertFalse(_isFinal(known.status), "I4: a final deal changed");
        ILotaMarket.Terms memory terms = known.terms;
        ILotaMarket.Receipt memory receipt = known.receipt;
        unchecked {
            if (to == ILotaMarket.Status.Cancelled) {
                expected[terms.client] += terms.maxPrice;
            } else if (to == ILotaMarket.Status.Settled) {
                expected[receipt.provider] += receipt.price + terms.collateral;
            } else if (to == ILotaMarket.Status.Void) {
                expected[terms.client] += receipt.price;
                expected[receipt.provider] += terms.collateral;
            } else {
                uint256 half = terms.collateral / 2;
                expected[terms.client] += receipt.price + half;
                if (reason == ILotaMarket.Reason.Overturned) expected[terms.arbiter] += terms.collateral - half;
                else expectedBurned += terms.collateral - half;
            }
        }
        (known.status, known.reason) = (to, reason);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Small things
    // ------------------------------------------------------------------------------------------------------------

    function _isFinal(ILotaMarket.Status status) internal pure returns (bool) {
        return status >= ILotaMarket.Status.Settled;
    }

    function _party(uint256 seed) internal view returns (address) {
        return parties[seed % parties.length];
    }

    function _pick(uint256 seed) internal view returns (Known storage) {
        return deals[seed % deals.length];
    }

    /// @dev A deal in this state, if there is one: the first at or behind a random place.
    function _pickIn(uint256 seed, ILotaMarket.Status status) internal view returns (bool found, Known storage known) {
        known = deals[0];
        for (uint256 i = 0; i < deals.length; ++i) {
            known = deals[(seed % deals.length + i) % deals.length];
            if (known.status == status) return (true, known);
        }
    }

    function _jobId(ILotaMarket.Terms memory terms) internal view returns (bytes32) {
        return Eip712.digest(Eip712.domain(address(MARKET), block.chainid), Eip712.hash(terms));
    }

    /// @dev A signature of an account by its key, of the wallet by its nod; of the others none can be had.
    function _sign(address signer, bytes32 digest) internal returns (bytes memory) {
        for (uint256 i = 0; i < 4; ++i) {
            if (keys[i].addr == signer) {
                (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[i].key, digest);
                return abi.encodePacked(r, s, v);
            }
        }
        if (signer == address(wallet)) {
            wallet.set(Wallet.Answer.Magic, digest);
            return "by the wallet";
        }
        return new bytes(65);
    }

    function _canSign(address party) internal view returns (bool) {
        for (uint256 i = 0; i < 4; ++i) {
            if (keys[i].addr == party) return true;
        }
        return party == address(wallet);
    }
}
