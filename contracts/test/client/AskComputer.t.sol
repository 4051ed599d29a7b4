// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket, LotaClient} from "../../src/LotaClient.sol";
import {AskComputer} from "../../src/examples/AskComputer.sol";
import {ClientTest} from "./ClientTest.sol";

contract AskComputerTest is ClientTest {
    string private constant HEAD =
        '{"version":1,"engine":{"type":"wasm","module":"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"},"args":[';
    string private constant TAIL =
        '],"limits":{"fuel":1000000000,"memory":67108864,"output":65536,"entries":10,"wall":60}}';

    AskComputer private computer;

    function setUp() public override {
        super.setUp();
        computer = _computer(1_200_000);
    }

    function _computer(uint32 callbackGas) private returns (AskComputer) {
        AskComputer.Offer memory offer =
            AskComputer.Offer({lockFor: 10 minutes, runFor: 2 hours, callbackGas: callbackGas, collateral: 2 ether});
        bytes memory arguments = abi.encode(address(market), offer, HEAD, TAIL);
        return AskComputer(deployCode("AskComputer.sol:AskComputer", arguments));
    }

    function _ask(string memory question) private returns (ILotaMarket.Terms memory terms, string memory spec) {
        vm.recordLogs();
        vm.prank(asker);
        bytes32 jobId = computer.ask{value: 1 ether}(question);
        (terms, spec) = _opened();
        assertEq(market.jobIdOf(terms), jobId);
        assertTrue(computer.questionOf(jobId).state == AskComputer.State.Asked);
    }

    function _answerOf(ILotaMarket.Terms memory terms) private view returns (AskComputer.Question memory) {
        return computer.questionOf(market.jobIdOf(terms));
    }

    function test_AQuestionIsAnswered() external {
        vm.expectEmit(false, true, false, true, address(computer));
        emit AskComputer.Asked(0, asker, "what is 6 x 7?");
        (ILotaMarket.Terms memory terms, string memory spec) = _ask("what is 6 x 7?");
        assertEq(spec, string.concat(HEAD, '"what is 6 x 7?"', TAIL));
        assertEq(terms.lockBy, START + 10 minutes);
        assertEq(terms.runFor, 2 hours);
        assertEq(terms.collateral, 2 ether);
        assertEq(terms.callbackGas, 1_200_000);
        ILotaMarket.Result memory result = _result("42");
        result.exitCode = 3;
        _lock(terms);
        bytes32 jobId = market.jobIdOf(terms);
        vm.expectEmit(address(computer));
        emit AskComputer.Answered(jobId, 3, "42");
        _submit(terms, result);
        AskComputer.Question memory question = _answerOf(terms);
        assertTrue(question.state == AskComputer.State.Answered);
        assertEq(question.answer, "42");
        assertEq(question.exitCode, 3);
        assertEq(question.output, keccak256("output"));
        assertEq(market.balanceOf(address(computer)), 0);
        assertEq(computer.owed(asker), 0);
        _assertEnded(terms);
    }

    /// @dev The fault of a predecessor: two jobs in one transaction, one lost.
    function test_TheSameQuestionTwiceInABlockIsTwoJobs() external {
        (ILotaMarket.Terms memory first,) = _ask("again");
        (ILotaMarket.Terms memory second,) = _ask("again");
        assertEq(first.salt + 1, second.salt);
        _run(first, _result("1"));
        _run(second, _result("2"));
        assertEq(_answerOf(first).answer, "1");
        assertEq(_answerOf(second).answer, "2");
    }

    function test_TheMoneyComesBackWhenNobodyTakesTheJob() external {
        (ILotaMarket.Terms memory terms,) = _ask("anybody?");
        vm.warp(terms.lockBy + 1);
        bytes32 jobId = market.jobIdOf(terms);
        vm.expectEmit(address(computer));
        emit AskComputer.Failed(jobId, ILotaMarket.Reason.NotLocked, 1 ether);
        market.expire(terms);
        _assertFailed(terms, ILotaMarket.Reason.NotLocked, 1 ether);
    }

    function test_TheMoneyAndHalfTheCollateralComeBackWhenTheProviderIsLate() external {
        (ILotaMarket.Terms memory terms,) = _ask("are you there?");
        _lock(terms);
        vm.warp(block.timestamp + 2 hours + 1);
        market.expire(terms);
        _assertFailed(terms, ILotaMarket.Reason.NotSubmitted, 2 ether);
    }

    function _assertFailed(ILotaMarket.Terms memory terms, ILotaMarket.Reason reason, uint256 refund) private {
        assertTrue(_answerOf(terms).state == AskComputer.State.Failed);
        assertTrue(_answerOf(terms).reason == reason);
        uint256 before = asker.balance;
        vm.prank(asker);
        computer.withdraw();
        assertEq(asker.balance, before + refund);
        assertEq(market.balanceOf(address(computer)), 0);
    }

    function test_RevertWhen_ItWouldNotBeCalledBack() external {
        bytes[2] memory arguments;
        arguments[0] = abi.encode(
            address(market), AskComputer.Offer({lockFor: 1, runFor: 60, callbackGas: 0, collateral: 0}), "", ""
        );
        arguments[1] = abi.encode(
            address(market), AskComputer.Offer({lockFor: 1, runFor: 60, callbackGas: 2300, collateral: 0}), "", ""
        );
        bytes memory code = vm.getCode("AskComputer.sol:AskComputer");
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory creation = bytes.concat(code, arguments[i]);
            address created;
            assembly ("memory-safe") {
                created := create(0, add(creation, 0x20), mload(creation))
            }
            assertEq(created, address(0));
        }
    }

    /// @dev The injection that a naive splice would allow: more arguments, other limits.
    function test_AQuestionStaysOneString() external {
        string memory evil = '","--admin"],"limits":{"fuel":1},"x":["\\';
        (, string memory spec) = _ask(evil);
        assertEq(vm.parseJsonString(spec, ".args[0]"), evil);
        assertFalse(vm.keyExistsJson(spec, ".args[1]"));
        assertFalse(vm.keyExistsJson(spec, ".x"));
        assertEq(vm.parseJsonUint(spec, ".limits.fuel"), 1_000_000_000);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Gas: what docs/solidity.md says a callback needs on Ethereum; forge test -vv --match-test test_Gas prints it
    // ------------------------------------------------------------------------------------------------------------

    function _long() private pure returns (bytes memory answer) {
        answer = new bytes(1024);
        for (uint256 i = 0; i < 1024; ++i) {
            answer[i] = bytes1(uint8(1 + i % 255)); // no byte is 0: the dearest
        }
    }

    /// @dev The least `callbackGas` with which the callback succeeds, to 1,000.
    function _needed(bytes memory answer) private returns (uint256) {
        (uint32 low, uint32 high) = (1000, 2_000_000);
        while (high - low > 1000) {
            uint32 middle = (low + high) / 2;
            uint256 before = vm.snapshotState();
            computer = _computer(middle);
            (ILotaMarket.Terms memory terms,) = _ask("how much?");
            _run(terms, _result(answer));
            bool enough = _answerOf(terms).state == AskComputer.State.Answered;
            vm.revertToState(before);
            if (enough) high = middle;
            else low = middle;
        }
        return high;
    }

    /// forge-config: default.isolate = true
    function test_GasOfAShortAnswer() external {
        uint256 gas = _needed("10\n");
        emit log_named_uint("callbackGas for a short answer", gas);
        assertLt(gas, 100_000);
    }

    /// forge-config: default.isolate = true
    function test_GasOf1024Bytes() external {
        uint256 gas = _needed(_long());
        emit log_named_uint("callbackGas for 1,024 bytes", gas);
        assertLt(gas, 850_000);
    }

    /// @dev Promised too little: paid, not lost.
    function test_ALongAnswerIsDeliveredLater() external {
        computer = _computer(200_000);
        (ILotaMarket.Terms memory terms,) = _ask("tell me all");
        ILotaMarket.Receipt memory receipt = _run(terms, _result(_long()));
        _assertPending(terms);
        assertTrue(_answerOf(terms).state == AskComputer.State.Asked);
        market.retryCallback(terms, receipt);
        assertEq(_answerOf(terms).answer, _long());
        _assertEnded(terms);
    }
}
