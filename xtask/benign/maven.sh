# A Java library with its tests and its archive, built by Maven with plugins and dependencies from its repository.
needs="mvn java"
prepare() {
    mkdir -p src/main/java/benign src/test/java/benign
    cat >pom.xml <<'END'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>benign.example</groupId>
  <artifactId>benign</artifactId>
  <version>1.0</version>
  <properties>
    <maven.compiler.release>17</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>com.google.guava</groupId><artifactId>guava</artifactId><version>33.4.8-jre</version>
    </dependency>
    <dependency>
      <groupId>org.junit.jupiter</groupId><artifactId>junit-jupiter</artifactId><version>5.12.2</version>
      <scope>test</scope>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <groupId>org.apache.maven.plugins</groupId><artifactId>maven-compiler-plugin</artifactId><version>3.14.0</version>
      </plugin>
      <plugin>
        <groupId>org.apache.maven.plugins</groupId><artifactId>maven-surefire-plugin</artifactId><version>3.5.3</version>
      </plugin>
    </plugins>
  </build>
</project>
END
    cat >src/main/java/benign/Words.java <<'END'
package benign;

public final class Words {
    public static String join(String... words) {
        return com.google.common.base.Joiner.on(' ').join(words);
    }
}
END
    cat >src/test/java/benign/WordsTest.java <<'END'
package benign;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class WordsTest {
    @Test
    void joins() {
        assertEquals("a b", Words.join("a", "b"));
    }
}
END
    echo target >.gitignore
}
build() {
    mvn --batch-mode --no-transfer-progress -Dmaven.repo.local="$CACHE/m2" package
}
