package ottla.clients;

import static ottla.clients.Suite.checkEqual;
import static ottla.clients.Suite.eventually;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;

/** Groups of the new protocol (KIP-848): the node assigns. */
final class ConsumerProtocolCases {
    private static final Map<String, Object> NEW = Map.of("group.protocol", "consumer");
    private static final Map<String, Object> CLASSIC = Map.of(
            "group.protocol", "classic", "session.timeout.ms", 10_000, "heartbeat.interval.ms", 500);

    private final Suite suite;
    private final Node node;

    ConsumerProtocolCases(Suite suite, Node node) {
        this.suite = suite;
        this.node = node;
    }

    void add() {
        suite.add("new_group_of_three_rebalances", () -> groupOfThree(NEW));
        suite.add("new_group_with_range_assignor",
                () -> groupOfThree(Map.of("group.protocol", "consumer", "group.remote.assignor", "range")));
        suite.add("new_group_resumes_from_committed_offsets", this::resumes);
        suite.add("new_group_takes_only_what_must_move", this::takesOnlyWhatMustMove);
        suite.add("new_static_member_returns_to_its_partitions", this::staticMember);
        suite.add("new_group_is_described", this::isDescribed);
        suite.add("new_group_subscribes_by_pattern", this::subscribesByPattern);
        suite.add("new_group_sees_new_partitions", this::seesNewPartitions);
        suite.add("group_migrates_to_the_new_protocol_and_back", this::migrates);
        suite.add("new_group_goes_on_through_a_restart", () -> goesOnThrough("restart"));
        suite.add("new_group_goes_on_through_a_kill", () -> goesOnThrough("kill"));
    }

    private void groupOfThree(Map<String, Object> options) throws Exception {
        String topic = node.topic("new-group", 6, Map.of());
        String group = Suite.fresh("new-group");
        List<Member> all = new ArrayList<>();
        List<Member> members = new ArrayList<>();
        for (int n = 0; n < 3; n++) {
            members.add(new Member(node, group, topic, options));
        }
        all.addAll(members);
        GroupCases.settled(members, 6, 2);
        Set<String> expected = GroupCases.produce(node, topic, 6, 0, 300);
        GroupCases.readAll(all, expected);
        members.remove(2).stop();
        GroupCases.settled(members, 6, 3);
        expected.addAll(GroupCases.produce(node, topic, 6, 300, 300));
        GroupCases.readAll(all, expected);
        members.add(new Member(node, group, topic, options));
        all.add(members.get(2));
        GroupCases.settled(members, 6, 2);
        for (Member member : members) {
            member.stop();
        }
        checkEqual(all.stream().mapToInt(member -> member.values.size()).sum(), 600, "records read");
    }

    private void resumes() throws Exception {
        String topic = node.topic("new-resume", 2, Map.of());
        String group = Suite.fresh("new-resume");
        for (int round = 0; round < 2; round++) {
            Set<String> expected = GroupCases.produce(node, topic, 2, round * 100, 100);
            Member member = new Member(node, group, topic, NEW);
            GroupCases.readAll(List.of(member), expected);
            member.stop();
            checkEqual(new TreeSet<>(member.values), expected, "values read");
            checkEqual(member.values.size(), 100, "records read");
        }
    }

    private void takesOnlyWhatMustMove() throws Exception {
        String topic = node.topic("new-sticky", 4, Map.of());
        String group = Suite.fresh("new-sticky");
        Member first = new Member(node, group, topic, NEW);
        GroupCases.settled(List.of(first), 4, 4);
        Member second = new Member(node, group, topic, NEW);
        GroupCases.settled(List.of(first, second), 4, 2);
        checkEqual(first.partitionsTaken.get(), 2, "partitions taken from the first member, and no more");
        second.stop();
        GroupCases.settled(List.of(first), 4, 4);
        first.stop();
    }

    private void staticMember() throws Exception {
        String topic = node.topic("new-static", 4, Map.of());
        String group = Suite.fresh("new-static");
        Map<String, Object> stays = Map.of("group.protocol", "consumer", "group.instance.id", "stays");
        Map<String, Object> returns = Map.of("group.protocol", "consumer", "group.instance.id", "returns");
        Member one = new Member(node, group, topic, stays);
        Member other = new Member(node, group, topic, returns);
        GroupCases.settled(List.of(one, other), 4, 2);
        Set<Integer> owned = other.assigned();
        int taken = one.partitionsTaken.get();
        other.stop();
        Member back = new Member(node, group, topic, returns);
        GroupCases.settled(List.of(one, back), 4, 2);
        checkEqual(back.assigned(), owned, "partitions of the member that came back");
        checkEqual(one.partitionsTaken.get(), taken, "partitions taken from the other member");
        back.stop();
        one.stop();
    }

    private void isDescribed() throws Exception {
        String topic = node.topic("new-described", 2, Map.of());
        String group = Suite.fresh("new-described");
        List<Member> members =
                List.of(new Member(node, group, topic, NEW), new Member(node, group, topic, NEW));
        GroupCases.settled(members, 2, 1);
        var listing = Node.result(node.admin.listGroups().all()).stream()
                .filter(listed -> listed.groupId().equals(group)).findFirst().orElseThrow();
        checkEqual(listing.type().orElseThrow(), GroupType.CONSUMER, "listed type");
        eventually(() -> describe(group).groupState() == GroupState.STABLE, () -> "stable: " + describe(group));
        ConsumerGroupDescription description = describe(group);
        checkEqual(description.type(), GroupType.CONSUMER, "type");
        checkEqual(description.members().size(), 2, "members");
        checkEqual(description.partitionAssignor(), "uniform", "assignor");
        for (Member member : members) {
            member.stop();
        }
        eventually(() -> describe(group).groupState() == GroupState.EMPTY, () -> "empty: " + describe(group));
        Node.result(node.admin.deleteConsumerGroups(List.of(group)).all());
        Suite.check(Node.result(node.admin.listGroups().all()).stream().noneMatch(listed -> listed.groupId().equals(group)),
                "a deleted group is still listed");
    }

    private ConsumerGroupDescription describe(String group) {
        try {
            return Node.result(node.admin.describeConsumerGroups(List.of(group)).all()).get(group);
        } catch (Exception error) {
            throw new AssertionError(error);
        }
    }

    private void subscribesByPattern() throws Exception {
        String prefix = Suite.fresh("pattern");
        node.create(prefix + "-one", 1, Map.of());
        node.create("other-" + prefix, 1, Map.of());
        Map<String, Object> options = new HashMap<>(NEW);
        options.putAll(Map.of("group.id", Suite.fresh("pattern"), "auto.offset.reset", "earliest"));
        try (KafkaConsumer<byte[], byte[]> consumer = node.consumer(options)) {
            consumer.subscribe(new SubscriptionPattern(prefix + "-.*"));
            poll(consumer, Set.of(prefix + "-one"));
            // A topic that appears later is found too.
            node.create(prefix + "-two", 1, Map.of());
            poll(consumer, Set.of(prefix + "-one", prefix + "-two"));
        }
    }

    private static void poll(KafkaConsumer<byte[], byte[]> consumer, Set<String> topics) throws InterruptedException {
        eventually(() -> {
            consumer.poll(Duration.ofMillis(100));
            return consumer.assignment().stream().map(at -> at.topic()).collect(java.util.stream.Collectors.toSet()).equals(topics);
        }, () -> "assigned " + topics + ": " + consumer.assignment());
    }

    private void seesNewPartitions() throws Exception {
        String topic = node.topic("new-grown", 1, Map.of());
        Member member = new Member(node, Suite.fresh("new-grown"), topic, NEW);
        GroupCases.settled(List.of(member), 1, 1);
        Node.result(node.admin.createPartitions(
                Map.of(topic, org.apache.kafka.clients.admin.NewPartitions.increaseTo(3))).all());
        GroupCases.settled(List.of(member), 3, 3);
        member.stop();
    }

    private void migrates() throws Exception {
        String topic = node.topic("migrate", 4, Map.of());
        String group = Suite.fresh("migrate");
        Member classic = new Member(node, group, topic, CLASSIC);
        GroupCases.settled(List.of(classic), 4, 4);
        Set<String> expected = GroupCases.produce(node, topic, 4, 0, 100);
        GroupCases.readAll(List.of(classic), expected);
        Member modern = new Member(node, group, topic, NEW);
        GroupCases.settled(List.of(classic, modern), 4, 2);
        checkEqual(describe(group).type(), GroupType.CONSUMER, "type with a new member");
        expected.addAll(GroupCases.produce(node, topic, 4, 100, 100));
        GroupCases.readAll(List.of(classic, modern), expected);
        modern.stop();
        GroupCases.settled(List.of(classic), 4, 4);
        checkEqual(describe(group).type(), GroupType.CLASSIC, "type when only classic members are left");
        expected.addAll(GroupCases.produce(node, topic, 4, 200, 100));
        GroupCases.readAll(List.of(classic, modern), expected);
        classic.stop();
        checkEqual(classic.values.size() + modern.values.size(), 300, "records read");
    }

    private void goesOnThrough(String word) throws Exception {
        String topic = node.topic("new-through", 3, Map.of());
        String group = Suite.fresh("new-through");
        List<Member> members = IntStream.range(0, 3).mapToObj(n -> new Member(node, group, topic, NEW)).toList();
        GroupCases.settled(members, 3, 1);
        Set<String> expected = GroupCases.produce(node, topic, 3, 0, 90);
        GroupCases.readAll(members, expected);
        suite.askForNode(word);
        expected.addAll(GroupCases.produce(node, topic, 3, 90, 90));
        GroupCases.readAll(members, expected);
        for (Member member : members) {
            member.stop();
        }
    }
}
