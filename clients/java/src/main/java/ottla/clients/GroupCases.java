package ottla.clients;

import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;

/** Consumer groups: rebalances, committed offsets, restarts. */
final class GroupCases {
    private static final Map<String, Object> RANGE =
            Map.of("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
    private static final Map<String, Object> COOPERATIVE = Map.of(
            "partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");

    private final Suite suite;
    private final Node node;

    GroupCases(Suite suite, Node node) {
        this.suite = suite;
        this.node = node;
    }

    void add() {
        suite.add("group_of_three_rebalances", this::groupOfThreeRebalances);
        suite.add("group_resumes_from_committed_offsets", this::groupResumesFromCommittedOffsets);
        suite.add("cooperative_sticky_keeps_partitions", this::cooperativeStickyKeepsPartitions);
        suite.add("static_member_returns_to_its_partitions", this::staticMemberReturnsToItsPartitions);
        suite.add("groups_are_listed_and_described", this::groupsAreListedAndDescribed);
        suite.add("group_resumes_after_node_restart", this::groupResumesAfterNodeRestart);
        suite.add("group_of_three_goes_on_through_a_restart", this::groupOfThreeGoesOnThroughARestart);
        suite.add("acknowledged_records_and_offsets_survive_kill", this::survivesKill);
    }

    private Member member(String group, String topic) {
        return new Member(node, group, topic, RANGE);
    }

    static void settled(List<Member> members, int partitions, int each) throws InterruptedException {
        List<Integer> all = IntStream.range(0, partitions).boxed().toList();
        eventually(() -> {
            List<Integer> owned = new ArrayList<>();
            for (Member member : members) {
                member.checkAlive();
                owned.addAll(member.assigned());
            }
            return owned.stream().sorted().toList().equals(all)
                    && members.stream().allMatch(member -> member.assigned().size() == each);
        }, () -> "partitions settle: " + members.stream().map(Member::assigned).toList());
    }

    static Set<String> produce(Node node, String topic, int partitions, int start, int count) throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        Set<String> values = new TreeSet<>();
        for (int n = start; n < start + count; n++) {
            records.add(RecordCases.record(topic, n % partitions, null, "value-" + n));
            values.add("value-" + n);
        }
        node.produce(records, Map.of());
        return values;
    }

    static void readAll(List<Member> members, Set<String> expected) throws InterruptedException {
        eventually(() -> {
            Set<String> missing = new TreeSet<>(expected);
            members.forEach(member -> missing.removeAll(new ArrayList<>(member.values)));
            return missing.isEmpty();
        }, () -> "the group reads " + expected.size() + " values: " + members.stream().map(m -> m.values.size()).toList());
    }

    private void groupOfThreeRebalances() throws Exception {
        String topic = node.topic("group", 6, Map.of());
        String group = Suite.fresh("group");
        List<Member> all = new ArrayList<>();
        List<Member> members = new ArrayList<>();
        for (int n = 0; n < 3; n++) {
            members.add(member(group, topic));
        }
        all.addAll(members);
        settled(members, 6, 2);
        Set<String> expected = produce(node, topic, 6, 0, 300);
        readAll(all, expected);
        members.remove(2).stop();
        settled(members, 6, 3);
        expected.addAll(produce(node, topic, 6, 300, 300));
        readAll(all, expected);
        members.add(member(group, topic));
        all.add(members.get(2));
        settled(members, 6, 2);
        expected.addAll(produce(node, topic, 6, 600, 300));
        readAll(all, expected);
        for (Member member : members) {
            member.stop();
        }
        // Everyone commits before giving partitions away: nothing is read twice.
        checkEqual(all.stream().mapToInt(member -> member.values.size()).sum(), 900, "records read");
    }

    private void readSome(String topic, String group, int start, int count) throws Exception {
        Set<String> expected = produce(node, topic, 2, start, count);
        Member member = member(group, topic);
        readAll(List.of(member), expected);
        member.stop();
        checkEqual(new TreeSet<>(member.values), expected, "values read");
        checkEqual(member.values.size(), count, "records read");
    }

    private void groupResumesFromCommittedOffsets() throws Exception {
        String topic = node.topic("resume", 2, Map.of());
        String group = Suite.fresh("resume");
        readSome(topic, group, 0, 100);
        readSome(topic, group, 100, 50);
    }

    private void cooperativeStickyKeepsPartitions() throws Exception {
        String topic = node.topic("cooperative", 4, Map.of());
        String group = Suite.fresh("cooperative");
        Member first = new Member(node, group, topic, COOPERATIVE);
        settled(List.of(first), 4, 4);
        Member second = new Member(node, group, topic, COOPERATIVE);
        settled(List.of(first, second), 4, 2);
        checkEqual(first.partitionsTaken.get(), 2, "partitions taken from the first member, and no more");
        readAll(List.of(first, second), produce(node, topic, 4, 0, 200));
        second.stop();
        settled(List.of(first), 4, 4);
        first.stop();
    }

    private Member staticMember(String group, String topic, String instance) {
        return new Member(node, group, topic, Map.of(
                "partition.assignment.strategy", RANGE.get("partition.assignment.strategy"),
                "group.instance.id", instance));
    }

    private void staticMemberReturnsToItsPartitions() throws Exception {
        String topic = node.topic("static", 4, Map.of());
        String group = Suite.fresh("static");
        Member stays = staticMember(group, topic, "stays");
        Member leaves = staticMember(group, topic, "returns");
        settled(List.of(stays, leaves), 4, 2);
        Set<Integer> owned = leaves.assigned();
        int rebalances = stays.rebalances.get();
        leaves.stop();
        Member back = staticMember(group, topic, "returns");
        settled(List.of(stays, back), 4, 2);
        checkEqual(back.assigned(), owned, "partitions of the member that came back");
        readAll(List.of(stays, back), produce(node, topic, 4, 0, 100));
        checkEqual(stays.rebalances.get(), rebalances, "rebalances that the other member saw");
        back.stop();
        stays.stop();
    }

    private void groupsAreListedAndDescribed() throws Exception {
        String topic = node.topic("described", 2, Map.of());
        String group = Suite.fresh("described");
        List<Member> members = List.of(member(group, topic), member(group, topic));
        settled(members, 2, 1);
        List<String> listed = Node.result(node.admin.listGroups().all()).stream().map(GroupListing::groupId).toList();
        Suite.check(listed.contains(group), "the group is not listed: " + listed);
        ConsumerGroupDescription description =
                Node.result(node.admin.describeConsumerGroups(List.of(group)).all()).get(group);
        checkEqual(description.groupState(), GroupState.STABLE, "state");
        checkEqual(description.members().size(), 2, "members");
        checkEqual(description.partitionAssignor(), "range", "assignor");
        for (Member member : members) {
            member.stop();
        }
    }

    private void groupResumesAfterNodeRestart() throws Exception {
        String topic = node.topic("restart", 2, Map.of());
        String group = Suite.fresh("restart");
        readSome(topic, group, 0, 100);
        suite.askForNode("restart");
        readSome(topic, group, 100, 50);
        node.consume(topic, 0, 0, 75);
    }

    private void groupOfThreeGoesOnThroughARestart() throws Exception {
        String topic = node.topic("through", 3, Map.of());
        String group = Suite.fresh("through");
        List<Member> members = List.of(member(group, topic), member(group, topic), member(group, topic));
        settled(members, 3, 1);
        Set<String> expected = produce(node, topic, 3, 0, 90);
        readAll(members, expected);
        suite.askForNode("restart");
        expected.addAll(produce(node, topic, 3, 90, 90));
        readAll(members, expected);
        for (Member member : members) {
            member.stop();
        }
    }

    private void survivesKill() throws Exception {
        String topic = node.topic("kill", 2, Map.of());
        String group = Suite.fresh("kill");
        readSome(topic, group, 0, 100);
        Set<String> expected = produce(node, topic, 2, 100, 100);
        suite.askForNode("kill");
        Member member = member(group, topic);
        readAll(List.of(member), expected);
        member.stop();
        checkEqual(member.values.size(), 100, "records read after the kill");
        node.consume(topic, 0, 0, 100);
        node.consume(topic, 1, 0, 100);
    }
}
