package io.plinth.target.cluster;

/**
 * Mistakes in what nodes do by the catalogue, which tests switch on to prove that the checks of
 * simulated clusters can fail; none in production.
 */
public enum CatalogueBug {
  /** A command is answered when it is proposed. */
  COMMAND_ANSWERED_EARLY,
  /** What is appended on a majority, and not durable, counts as committed. */
  CATALOGUE_NOT_DURABLE,
  /** What a node may have had before its directory was new votes and counts at once. */
  NEW_NODE_COUNTS,
  /** A node whose directory is new is a member before it has begun its replicas. */
  MEMBER_BEFORE_BEGUN,
  /** Every node begins a replica of every volume. */
  REPLICA_EVERYWHERE,
  /** Replicas are placed without a look at what fails together. */
  RACKS_IGNORED,
  /** A replica stays when its volume is deleted. */
  DELETED_REPLICA_STAYS,
  /** A start drops replicas of volumes that the catalogue does not know yet. */
  UNKNOWN_REPLICA_DROPPED,
  /** A catalogue that came as a whole does not end replicas of volumes that nobody knew here. */
  UNKNOWN_REPLICA_STAYS,
  /** That a lead was moved is answered when that has begun. */
  LEAD_MOVE_ANSWERED_EARLY,
  /** Changed settings of a volume are not shown until the next start. */
  SETTINGS_NOT_SHOWN,
  /** A replica that is to move goes before the new one has anything. */
  OLD_REPLICA_REMOVED_FIRST,
  /** A new replica votes before it has what the others have. */
  PROMOTED_BEFORE_CAUGHT_UP,
  /** A replica is dropped as soon as the catalogue wants it elsewhere. */
  DROPPED_WITHOUT_LEAVE,
  /** A replica that comes begins as one of those that are to be members, and takes part at once. */
  NEWCOMER_BEGINS_AS_MEMBER,
  /** After a start replicas are begun by whatever the catalogue was when that was written. */
  BEGUN_BY_OLD_CATALOGUE,
  /** A checkpoint, and what a node is given, do not have the nodes that have joined. */
  JOINED_NODES_FORGOTTEN,
  /** A node that joins gets replicas as soon as it is admitted. */
  JOINING_NODE_PLACED,
  /** A volume is deleted without a look at who uses it on other nodes. */
  USE_ELSEWHERE_IGNORED,
  /** The first node of a cluster of one keeps nothing for those that join it. */
  FIRST_LEARNER_UNNOTED
}
