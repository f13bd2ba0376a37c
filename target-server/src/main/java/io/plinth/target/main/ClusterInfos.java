package io.plinth.target.main;

import io.plinth.target.admin.ClusterInfo;
import io.plinth.target.admin.NodesInfo;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.node.ClusterStatus;
import io.plinth.target.node.NodesStatus;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** Says how a cluster is, in the words of the admin API. */
final class ClusterInfos {
  private ClusterInfos() {}

  static ClusterInfo of(ClusterMap cluster, int cores, ClusterStatus status) {
    List<ClusterInfo.MemberInfo> members = new ArrayList<>();
    for (ClusterMap.Member member : cluster.members()) {
      ClusterInfo.State other =
          status.connected().contains(member.number())
              ? ClusterInfo.State.REACHABLE
              : ClusterInfo.State.UNREACHABLE;
      members.add(
          new ClusterInfo.MemberInfo(
              member.number(),
              member.number() == cluster.self() ? ClusterInfo.State.SELF : other,
              member.address(0),
              member.admin(),
              member.rack()));
    }
    return new ClusterInfo(
        cluster.name(),
        cluster.self(),
        status.leader() < 0 ? null : status.leader(),
        status.volumes(),
        cores,
        status.catalogue().voters(),
        members,
        summary(members, status.catalogue().voters(), status));
  }

  private static String list(List<Integer> nodes) {
    return nodes.stream().map(String::valueOf).collect(Collectors.joining(", "));
  }

  static NodesInfo of(NodesStatus status) {
    return new NodesInfo(
        status.nodes().stream()
            .map(one ->
                new NodesInfo.NodeState(
                    one.node(), one.state().word(), one.silentMs(), one.replicas(), one.words()))
            .toList(),
        status.moves());
  }

  private static List<String> summary(
      List<ClusterInfo.MemberInfo> members, List<Integer> voters, ClusterStatus status) {
    List<String> lines = new ArrayList<>();
    List<Integer> away =
        members.stream()
            .filter(member -> member.state() == ClusterInfo.State.UNREACHABLE)
            .map(ClusterInfo.MemberInfo::node)
            .toList();
    int majority = voters.size() / 2 + 1;
    long present = voters.stream().filter(voter -> !away.contains(voter)).count();
    if (away.isEmpty()) {
      lines.add("all nodes can be reached");
    } else {
      lines.add(
          (away.size() == 1 ? "node " : "nodes ") + list(away) + " can't be reached from here");
    }
    if (present < majority) {
      lines.add(
          "nothing can be changed, and volumes of which most replicas are away are not served, until "
              + majority
              + (voters.size() == members.size() ? "" : " of the nodes " + list(voters))
              + (voters.size() == members.size()
                  ? " nodes reach each other"
                  : " reach each other"));
    } else if (!away.isEmpty()) {
      lines.add(
          "volumes are served by their other replicas; who comes back is given what it missed");
    }
    if (status.recovering()) {
      lines.add(
          "this node may have lost what it had: it counts for nothing until a leader has given it"
              + " everything");
    }
    if (status.stopped() > 0) {
      lines.add(status.stopped() + " replicas of this node have stopped: its log says why");
    }
    lines.addAll(status.resyncs());
    if (status.resyncsCompleted() > 0) {
      lines.add(
          "replicas of this node that lacked what is kept no more and were brought up to date since"
              + " its start: "
              + status.resyncsCompleted());
    }
    if (status.resyncBytesSent() > 0) {
      lines.add(
          "MiB sent to bring replicas of other nodes up to date, since the start: "
              + (status.resyncBytesSent() >> 20));
    }
    return lines;
  }
}
