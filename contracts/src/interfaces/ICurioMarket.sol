// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "./IBlessing.sol";

/// @title ICurioDealView: what Curio asks the market contract of a deal (its `ICurioDealViewV1`)
/// @dev filecoin-project/curio, market/mk20/contract/CurioDealViewV1.sol at e0294b0; the calls are in market/mk20/ddo_v1.go. Curio calls
/// {version} and {verifyDeal} by eth_call when a client hands it a deal that names a market contract, of those that its operator
/// allowed; all of its numbers fit 64 bits. {getDealState} is in the interface, and not called yet.
interface ICurioDealView {
    /// @notice There is no such deal. Curio takes this error alone for that.
    error DealNotFound(uint256 dealId);

    /// @notice Open: a storage provider may take it. Active: it is in a sector. Finalized: it is over, or came to nothing.
    enum DealState {
        Open,
        Active,
        Finalized
    }

    /// @notice A deal as Curio has it.
    /// @param state always Open
    /// @param providerActorId id of the storage provider's miner actor
    /// @param clientId bytes of the client's Filecoin address, as the client wrote it
    /// @param pieceCidV2 bytes of the piece CID
    /// @param startEpoch 0: any
    /// @param duration in epochs
    /// @param allocationId 0: none
    /// @param finalizedEpoch always 0
    struct CurioDealView {
        uint256 dealId;
        DealState state;
        uint256 providerActorId;
        bytes clientId;
        bytes pieceCidV2;
        uint256 startEpoch;
        uint256 duration;
        uint256 allocationId;
        uint256 finalizedEpoch;
    }

    /// @notice 1: the version of this interface.
    function version() external pure returns (uint256);
    /// @notice Whether a provider may take this deal now.
    function verifyDeal(CurioDealView calldata deal) external view returns (bool);
    /// @notice How far a deal is.
    function getDealState(uint256 dealId) external view returns (DealState);
}

/// @title ICurioMarket: deals that storage providers with Curio take by its direct onboarding
/// @notice A client announces a deal: this provider shall seal that piece, for so long. Curio accepts it from the client only if
/// {verifyDeal} says so, which compares all that Curio has with what was announced. No money is here: what the provider gets for it
/// is between the two, or comes from elsewhere.
///
/// Two kinds of deployment, so that a provider chooses by the address that it allows:
///
/// - without a blessing contract any account announces deals of its own, by {announce};
/// - with one only {announceNominated}: deals with the piece of a running nomination, which is what notaries vote on, by the job's
///   client, provider or nominator. When the notaries refuse or revoke it, or let it expire, the deal is not open any more.
///
/// Whether the piece was really sealed is no provider's word: its miner actor calls {handle_filecoin_method} itself (FIP-0076,
/// SectorContentChanged) when the deal names this contract for notifications, with the deal's id in CBOR as the payload. Time is in
/// epochs, which are the block numbers of a Filecoin chain.
interface ICurioMarket is ICurioDealView {
    /// @notice A deal that a client wants.
    /// @param provider id of the storage provider's miner actor: 1000 for f01000
    /// @param pieceCid bytes of the piece CID, version 2
    /// @param startEpoch as the client will tell Curio; 0: none
    /// @param duration in epochs (Curio takes 518,400 or more)
    /// @param allocationId DataCap's; 0: none
    /// @param openUntil last epoch in which the provider may take it
    struct Proposal {
        uint64 provider;
        bytes pieceCid;
        uint64 startEpoch;
        uint64 duration;
        uint64 allocationId;
        uint64 openUntil;
    }

    /// @notice A deal as it is stored.
    /// @param client who announced it: its f410 address is the client that Curio must see
    /// @param height of the piece's tree: it has 32 << height padded bytes
    /// @param padding zeros behind the piece's content, in bytes
    /// @param isWithdrawn whether the client took it back
    /// @param activeSince epoch of the first notification; 0: none came
    /// @param activeUntil last epoch of the deal, or of the sector's commitment if that is earlier
    /// @param sector that holds the piece
    /// @param jobId of the nomination; 0: none
    /// @param round of the nomination
    struct Deal {
        bytes32 root;
        address client;
        uint64 provider;
        uint8 height;
        bool isWithdrawn;
        uint64 padding;
        uint64 startEpoch;
        uint64 duration;
        uint64 allocationId;
        uint64 openUntil;
        uint64 activeSince;
        uint64 activeUntil;
        uint64 sector;
        bytes32 jobId;
        uint32 round;
    }

    /// @notice What is wrong with a proposal, in the order in which it is checked. Provider: actor 0. Duration: 0, or an end beyond 64
    /// bits. OpenUntil: over already. Client: a masked id, of which nobody knows what address Curio will see.
    enum ProposalFault {
        Provider,
        Duration,
        OpenUntil,
        Client
    }

    /// @notice A client wants this deal.
    /// @param root of the piece's tree
    event DealAnnounced(
        uint256 indexed dealId,
        address indexed client,
        bytes32 indexed root,
        uint64 provider,
        bytes32 jobId,
        Proposal proposal
    );
    /// @notice The client took it back.
    event DealWithdrawn(uint256 indexed dealId);
    /// @notice The provider's miner actor said that the piece is in this sector. Again if it says so of another sector, or of longer.
    event DealActivated(uint256 indexed dealId, uint64 indexed provider, uint64 sector, uint64 activeUntil);

    /// @notice The proposal is malformed.
    error BadProposal(ProposalFault fault);
    /// @notice This deployment takes pieces of nominations only, by {announceNominated}.
    error NominatedOnly();
    /// @notice This deployment knows no nominations: use {announce}.
    error NoNominations();
    /// @notice The nomination does not run: it is not this job's present one, or it ended.
    error NotNominated(bytes32 jobId);
    /// @notice The nomination is of another piece.
    error OtherPiece(bytes32 piece, uint64 pieceSize);
    /// @notice Only the nomination's client, provider or nominator announces a deal of its piece.
    error NotAParty(address sender);
    /// @notice Only who announced a deal withdraws it.
    error NotTheClient(address sender);
    /// @notice The deal is not open.
    error NotOpen(uint256 dealId, DealState state);
    /// @notice Actors are told apart by their masked ids; this is none.
    error NotAnActor(address sender);
    /// @notice Only SectorContentChanged (2034386435), with its parameters in CBOR (0x51), is known here.
    error UnknownMethod(uint64 method, uint64 codec);

    /// @notice Announces a deal of the sender's.
    /// @return dealId the market deal id to give to Curio, from 1
    /// @dev {NominatedOnly}, {BadProposal}, {PieceCid-BadPieceCid}. Emits {DealAnnounced}.
    function announce(Proposal calldata proposal) external returns (uint256 dealId);

    /// @notice Announces a deal of the sender's with the piece of a nomination that runs: Nominated or Blessed.
    /// @dev {NoNominations}, {BadProposal}, {PieceCid-BadPieceCid}, {NotNominated}, {OtherPiece}, {NotAParty}. Emits {DealAnnounced}.
    function announceNominated(Proposal calldata proposal, IBlessing.Nomination calldata nomination)
        external
        returns (uint256 dealId);

    /// @notice Takes an open deal back: no provider may take it from now on. One that has done so already may still activate it.
    /// @dev {DealNotFound}, {NotTheClient}, {NotOpen}. Emits {DealWithdrawn}.
    function withdraw(uint256 dealId) external;

    /// @notice What miner actors call (FRC-0042, FIP-0076), with an array of sectors, each [sector, commitment epoch, [[piece CID of
    /// version 1, padded size, payload], ...]]; the payload is a deal's id, an unsigned number in CBOR.
    /// @return exitCode always 0
    /// @return resultCodec CBOR (0x51)
    /// @return result for each sector an array with a boolean for each piece: whether it is the deal's piece, and the sender its
    /// provider. A provider that requires success cannot activate a sector with a false one, and its other pieces neither; so nothing
    /// that the client or the notaries do meanwhile makes one false: a deal that was withdrawn, or is late, is activated, too.
    /// @dev {UnknownMethod}, {NotAnActor}, {Cbor-BadCbor}. Emits {DealActivated}.
    // forge-lint: disable-next-line(mixed-case-function)
    function handle_filecoin_method(uint64 method, uint64 codec, bytes calldata params)
        external
        returns (uint32 exitCode, uint64 resultCodec, bytes memory result);

    /// @notice A deal as it is stored.
    /// @dev {DealNotFound}.
    function dealOf(uint256 dealId) external view returns (Deal memory);
    /// @notice How many deals were announced; their ids are from 1 to this.
    function dealCount() external view returns (uint64);
}
